/**
 * A question over the page: the browser's own modal dialog, which keeps the focus in it and gives it back.
 * @module
 */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { Button } from "./button.tsx";
import { Icon } from "./icons.tsx";

export function Dialog({
  title,
  onClose,
  children,
  actions,
  onSubmit,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly actions?: ComponentChildren;
  /** Makes it a form. */
  readonly onSubmit?: () => void;
}): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current!;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      // A dialog that was taken off the page gives the focus back no more.
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const content = (
    <>
      <header class="row spread">
        <h2 id={id}>{title}</h2>
        <button type="button" class="button icon plain tiny" aria-label="Close" title="Close" onClick={onClose}>
          <Icon name="close" size={16} />
        </button>
      </header>
      {children}
      {actions && <footer>{actions}</footer>}
    </>
  );
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === element.current && onClose()}
    >
      {onSubmit ? (
        <form
          class="dialog"
          onSubmit={(event) => {
            event.preventDefault();
            onSubmit();
          }}
        >
          {content}
        </form>
      ) : (
        <div class="dialog">{content}</div>
      )}
    </dialog>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm({
  title,
  action,
  onConfirm,
  onClose,
  children,
}: {
  readonly title: string;
  /** Such as "Delete". */
  readonly action: string;
  readonly onConfirm: () => void;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  return (
    <Dialog
      title={title}
      onClose={onClose}
      onSubmit={() => {
        onConfirm();
        onClose();
      }}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" type="submit">
            {action}
          </Button>
        </>
      }
    >
      <p>{children}</p>
    </Dialog>
  );
}
