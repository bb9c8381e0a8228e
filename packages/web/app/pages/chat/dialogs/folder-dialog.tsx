/**
 * Another name for a folder, or none.
 * @module
 */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure } from "../../../../src/protocol/failure.ts";
import { failureOf } from "../../../api/console.ts";
import { Button } from "../../../parts/button.tsx";
import { Dialog } from "../../../parts/dialog.tsx";
import { TextField } from "../../../parts/field.tsx";
import { FailureNotice } from "../../../parts/notice.tsx";
import { changeFolder } from "../data/conversation-list.ts";

export function FolderDialog({ name, onClose }: { readonly name: string; readonly onClose: () => void }): JSX.Element {
  const [changed, setChanged] = useState(name);
  const [failure, setFailure] = useState<Failure | null>(null);
  const change = (to: string | null): void => {
    changeFolder({ from: name, to }).then(onClose, (error: unknown) => setFailure(failureOf(error)));
  };
  return (
    <Dialog
      title="Folder"
      onClose={onClose}
      onSubmit={() => change(changed.trim())}
      actions={
        <>
          <Button onClick={() => change(null)}>Take the folder away</Button>
          <Button kind="primary" type="submit" disabled={changed.trim() === ""}>
            Save
          </Button>
        </>
      }
    >
      <FailureNotice failure={failure} />
      <TextField name="Name" value={changed} onInput={setChanged} required autofocus />
      <p class="small quiet">Its conversations stay, whatever becomes of the folder.</p>
    </Dialog>
  );
}
