/**
 * The heads of the two columns: what one says, and what they see.
 * @module
 */
import type { JSX } from "preact";
import type { Protection } from "../../../../src/protocol/library.ts";
import { Icon } from "../../../parts/icons.tsx";
import style from "./thread.module.css";

export function SplitHead({ protection }: { readonly protection: Protection | null }): JSX.Element {
  return (
    <div class={style["head"]}>
      <p class={style["yours"]}>
        <Icon name="eye" size={18} /> What you say and read
      </p>
      <div class={style["theirs"]}>
        <p class={style["title"]}>
          <Icon name="closedEye" size={18} /> What the {protection === "shares" ? "servers see" : "host sees"}
        </p>
        <p class="small quiet">
          {protection === "shares" ? (
            <>
              It hides your words while the two do not work together: <a href="/models/protections">what this protection is worth</a>.
            </>
          ) : (
            <>
              Numbers without words are not secrecy: <a href="/models/protections">what this protection is worth</a>.
            </>
          )}
        </p>
      </div>
    </div>
  );
}
