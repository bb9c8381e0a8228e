/**
 * Takes a picture: dropped, chosen, pasted, or the one that comes along.
 * @module
 */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import example from "../../../../unseen/models/xray-cnn/example.png?url";
import { download } from "../../api/console.ts";
import { announce } from "../../parts/announcer.tsx";
import { Button } from "../../parts/button.tsx";
import { Icon } from "../../parts/icons.tsx";
import { Notice, sentence } from "../../parts/notice.tsx";
import { byteSize } from "../../parts/numbers.ts";
import { choosePicture, MAXIMUM_BYTES, picture, readPicture } from "./picture-file.ts";
import style from "./pictures.module.css";

export function PictureInput(): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const [mistake, setMistake] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const take = async (file: Blob, name: string): Promise<void> => {
    try {
      choosePicture(await readPicture(file, name));
      setMistake(null);
      announce(`${sentence(name)} is chosen.`);
    } catch (error) {
      choosePicture(null);
      setMistake((error as Error).message);
    }
  };
  const takeFirst = (files: FileList | undefined): void => {
    const file = files?.[0];
    if (file) void take(file, file.name);
  };
  const takeExample = async (): Promise<void> => take(await download(example), "the example");
  useEffect(() => {
    const paste = (event: ClipboardEvent): void => {
      if (event.clipboardData?.files.length) event.preventDefault();
      takeFirst(event.clipboardData?.files);
    };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  }, []);
  const chosen = picture.value;
  return (
    <div class="stack">
      <div
        class={style["drop"]}
        data-over={over}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          takeFirst(event.dataTransfer?.files);
        }}
      >
        {chosen ? (
          <figure class={style["chosen"]}>
            <img src={chosen.address} alt="The picture that you chose" />
            <figcaption>
              {chosen.name}
              <span class="quiet small">
                {" "}
                {chosen.width} x {chosen.height}, {byteSize(chosen.bytes.length)}
              </span>
            </figcaption>
          </figure>
        ) : (
          <>
            <Icon name="picture" size={28} />
            <p>Drop a picture here, or paste one.</p>
          </>
        )}
        <div class="row">
          <Button icon="upload" onClick={() => input.current?.click()}>
            {chosen ? "Choose another" : "Choose a file"}
          </Button>
          <Button onClick={() => void takeExample()}>Use the example</Button>
        </div>
        <p class="small quiet">
          PNG, JPEG or WebP, up to {byteSize(MAXIMUM_BYTES)}. The model looks at a thumbnail of it. The example is a drawing in the manner
          of a chest X-ray, of no person.
        </p>
        <input
          ref={input}
          type="file"
          class="only-heard"
          accept="image/png,image/jpeg,image/webp"
          aria-label="Picture"
          tabIndex={-1}
          onChange={(event) => {
            takeFirst(event.currentTarget.files ?? undefined);
            // The same file may be chosen again after a mistake.
            event.currentTarget.value = "";
          }}
        />
      </div>
      {mistake && <Notice kind="bad">{mistake}</Notice>}
    </div>
  );
}
