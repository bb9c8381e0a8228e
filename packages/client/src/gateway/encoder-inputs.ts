/**
 * The inputs of a request to an encoder: texts, plain ids or pictures.
 * @module
 */
import type { EncoderInput } from "../encoders/blind-encoder.ts";
import type { InputRequest } from "../openai/encoder-schema.ts";
import { RequestError } from "../openai/errors.ts";

/** One or many inputs. @throws RequestError REQUEST_INVALID, REQUEST_UNSUPPORTED for a picture that would have to be fetched. */
export function listInputs({ input, image, images }: InputRequest): EncoderInput[] {
  const given = [input, image, images].filter((value) => value !== undefined && value !== null);
  if (given.length !== 1)
    throw new RequestError("REQUEST_INVALID", "input", "input: expected either input, image or images.", {
      hint: "Send a text as input, or a picture's file in base64 as image.",
    });
  if (typeof image === "string") return [readPicture(image, "image")];
  if (images) return images.map((picture, index) => readPicture(picture, `images[${index}]`));
  if (typeof input === "string") return [input];
  const several = input as string[] | number[] | number[][];
  if (typeof several[0] === "number") return [{ ids: several as number[] }];
  return (several as (string | number[])[]).map((each) => (typeof each === "string" ? each : { ids: each }));
}

function readPicture(text: string, param: string): Uint8Array {
  // The address would tell somebody else which picture is looked at, and might lead into the user's own network (CWE-918).
  if (/^(?:https?|ftp|file):/i.test(text))
    throw new RequestError("REQUEST_UNSUPPORTED", param, `${param}: addresses are not fetched.`, {
      hint: "Send the file itself in base64.",
    });
  const data = /^data:[\w.+-]*\/?[\w.+-]*(?:;[\w=.+-]+)*;base64,/i.exec(text.slice(0, 200))?.[0] ?? "";
  const encoded = text.slice(data.length).trim();
  if (encoded === "" || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(encoded.replace(/\s+/g, "")))
    throw new RequestError("REQUEST_INVALID", param, `${param}: expected a picture's file in base64, or a data: URL.`);
  return Buffer.from(encoded, "base64");
}
