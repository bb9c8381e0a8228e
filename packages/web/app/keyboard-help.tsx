/**
 * The list of keyboard shortcuts.
 * @module
 */
import type { JSX } from "preact";
import { shortcuts, shownKeys } from "./keyboard.ts";
import { Dialog } from "./parts/dialog.tsx";

export function KeyboardHelp({ onClose }: { readonly onClose: () => void }): JSX.Element {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <table>
        <tbody>
          {shortcuts.value.map(({ keys, description }) => (
            <tr key={keys}>
              <td>
                <kbd>{shownKeys(keys)}</kbd>
              </td>
              <td>{description}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Dialog>
  );
}
