/**
 * Protocol Buffers on the wire, read without a schema: fields as ranges of their source, so that nothing is lost and no
 * tensor is copied (https://protobuf.dev/programming-guides/encoding/).
 * @module
 */
import { malformed, tooLarge, truncated } from "./checks.ts";
import { openFile, type OpenFile } from "./open-file.ts";

/** Fields that a model's structure may have, data of tensors not counted (CWE-770); the largest known have about 500,000. */
export const MAXIMUM_FIELDS = 2 ** 22;
/** Field numbers end at 2^29 - 1. */
const MAXIMUM_FIELD_NUMBER = 2 ** 29 - 1;
const WINDOW_BYTES = 2 ** 16;
/** Node reads at most 2^31 - 1 bytes at once. */
const MAXIMUM_READ_BYTES = 2 ** 30;

/** How a field's value lies on the wire. */
export const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** Bytes at any place of a file or of memory, looked at through a window of bounded size. */
export class ByteSource {
  /** For messages. */
  readonly name: string;
  /** Absolute path; null for memory. */
  readonly path: string | null;
  readonly bytes: number;
  readonly #fill: (offset: number, into: Uint8Array) => void;
  readonly #hold: (action: () => void) => void;
  #window = new Uint8Array(0);
  #start = 0;
  #held = false;
  /** The last number that {@link ByteSource.varint} read: 32 bits each, unsigned. */
  low = 0;
  high = 0;

  private constructor(
    name: string,
    path: string | null,
    bytes: number,
    access: { fill(offset: number, into: Uint8Array): void; hold(action: () => void): void },
  ) {
    this.name = name;
    this.path = path;
    this.bytes = bytes;
    this.#fill = access.fill;
    this.#hold = access.hold;
  }

  static memory(bytes: Uint8Array, name = "the model in memory"): ByteSource {
    return new ByteSource(name, null, bytes.length, {
      fill: (offset, into) => into.set(bytes.subarray(offset, offset + into.length)),
      hold: (action) => action(),
    });
  }

  /** A file of its present size; opened for each read, or once for all reads of {@link ByteSource.holding}. Throws as `openFile`. */
  static file(path: string): ByteSource {
    let file: OpenFile | null = openFile(path);
    const { name, bytes } = file;
    file.close();
    file = null;
    const hold = (action: () => void): void => {
      if (file) return action();
      file = openFile(path);
      try {
        if (file.bytes !== bytes) throw truncated(`${name} changed since it was opened: expected ${bytes} bytes, got ${file.bytes}.`);
        action();
      } finally {
        file.close();
        file = null;
      }
    };
    return new ByteSource(name, path, bytes, { fill: (offset, into) => hold(() => file!.read(offset, into)), hold });
  }

  /** Does something that reads a lot: the file is opened once for it, and the window freed after it. */
  holding<T>(action: () => T): T {
    if (this.#held) return action();
    let result: { value: T } | null = null;
    this.#held = true;
    try {
      this.#hold(() => {
        result = { value: action() };
      });
    } finally {
      this.#held = false;
      this.#window = new Uint8Array(0);
    }
    return result!.value;
  }

  byte(offset: number): number {
    const at = offset - this.#start;
    if (at >= 0 && at < this.#window.length) return this.#window[at]!;
    this.#load(offset);
    return this.#window[0]!;
  }

  /** A copy of bytes `[offset, offset + count)`, which the caller has checked to exist. */
  copy(offset: number, count: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(count);
    this.copyInto(offset, copy);
    return copy;
  }

  /** As {@link ByteSource.fill}; short pieces of a source that is held come out of the window. */
  copyInto(offset: number, into: Uint8Array): void {
    if (!this.#held || into.length > WINDOW_BYTES / 4) return this.fill(offset, into);
    if (offset < this.#start || offset + into.length > this.#start + this.#window.length) this.#load(offset);
    into.set(this.#window.subarray(offset - this.#start, offset - this.#start + into.length));
  }

  /** Fills `into` from `offset` on, past the window. */
  fill(offset: number, into: Uint8Array): void {
    for (let done = 0; done < into.length; done += MAXIMUM_READ_BYTES)
      this.#fill(offset + done, into.subarray(done, Math.min(into.length, done + MAXIMUM_READ_BYTES)));
  }

  /** Reads a base-128 number into `low` and `high`; returns where the next byte lies. */
  varint(offset: number, end: number): number {
    let low = 0;
    let high = 0;
    for (let at = offset, shift = 0; shift < 70; at++, shift += 7) {
      if (at >= end) throw this.ended(end, `a number at byte ${offset}`);
      const byte = this.byte(at);
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else if (shift < 63 || bits <= 1) high |= bits << (shift - 32);
      else break;
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return at + 1;
      }
    }
    throw malformed(`${this.name}: the number at byte ${offset} is longer than 64 bits.`);
  }

  /** What ends too early: the file, or a message inside it that contradicts itself. */
  ended(end: number, what: string): Error {
    return end === this.bytes
      ? truncated(`${this.name} ends inside ${what}.`)
      : malformed(`${this.name}: ${what} passes the end of its message.`);
  }

  #load(offset: number): void {
    const window = new Uint8Array(Math.min(WINDOW_BYTES, this.bytes - offset));
    this.#fill(offset, window);
    this.#window = window;
    this.#start = offset;
  }
}

/** Bytes `[begin, end)` of a source. */
export class Slice {
  readonly source: ByteSource;
  readonly begin: number;
  readonly end: number;

  constructor(source: ByteSource, begin: number, end: number) {
    this.source = source;
    this.begin = begin;
    this.end = end;
  }

  get length(): number {
    return this.end - this.begin;
  }

  /** A copy. */
  read(): Uint8Array<ArrayBuffer> {
    return this.source.copy(this.begin, this.length);
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** One field of a message: its number, wire type and place; the value of a number. */
export class Field {
  readonly source: ByteSource;
  readonly number: number;
  readonly wire: number;
  /** Where the tag begins. */
  readonly start: number;
  /** Where the value begins, behind tag and length. */
  readonly begin: number;
  readonly end: number;
  readonly #low: number;
  readonly #high: number;

  constructor(
    source: ByteSource,
    place: { number: number; wire: number; start: number; begin: number; end: number; low: number; high: number },
  ) {
    this.source = source;
    this.number = place.number;
    this.wire = place.wire;
    this.start = place.start;
    this.begin = place.begin;
    this.end = place.end;
    this.#low = place.low;
    this.#high = place.high;
  }

  /** The field with its tag. */
  raw(): Slice {
    return new Slice(this.source, this.start, this.end);
  }

  /** The value of a message, a text or packed numbers. */
  slice(): Slice {
    this.expect(Wire.bytes);
    return new Slice(this.source, this.begin, this.end);
  }

  /** UTF-8 text of at most `limit` bytes. Throws `CHECKPOINT_TOO_LARGE`, `CHECKPOINT_MALFORMED`. */
  text(limit: number): string {
    const slice = this.slice();
    if (slice.length > limit) throw tooLarge(`${this.where}: ${slice.length} bytes of text exceed the limit of ${limit}.`);
    try {
      return decoder.decode(slice.read());
    } catch {
      throw malformed(`${this.where}: expected UTF-8 text.`);
    }
  }

  /** A signed 64-bit number. */
  int64(): bigint {
    this.expect(Wire.varint);
    return signed(this.#low, this.#high);
  }

  /** A signed number; beyond 2^53 the nearest that is exact: exporters write 2^63 - 1 for "to the end". */
  clamped(): number {
    this.expect(Wire.varint);
    return clamp(this.#low, this.#high);
  }

  /** A signed number. Throws `CHECKPOINT_TOO_LARGE` beyond 2^53. */
  integer(): number {
    const value = Number(this.int64());
    if (!Number.isSafeInteger(value)) throw tooLarge(`${this.where}: the number ${value} exceeds 2^53.`);
    return value;
  }

  float32(): number {
    this.expect(Wire.fixed32);
    const bytes = this.source.copy(this.begin, 4);
    return new DataView(bytes.buffer).getFloat32(0, true);
  }

  expect(wire: number): void {
    if (this.wire !== wire) throw malformed(`${this.where}: expected wire type ${wire}, got ${this.wire}.`);
  }

  get where(): string {
    return `${this.source.name}: field ${this.number} at byte ${this.start}`;
  }
}

/** A signed 64-bit number of two unsigned halves. */
export function signed(low: number, high: number): bigint {
  return BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
}

/** As {@link Field.clamped}. */
export function clamp(low: number, high: number): number {
  const value = (high | 0) * 2 ** 32 + low;
  return Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, value));
}

/** The fields of a message in their order. Throws `CHECKPOINT_TRUNCATED` at the end of the file, `CHECKPOINT_MALFORMED` inside. */
export function* fields({ source, begin: first, end }: Slice): Generator<Field> {
  for (let at = first; at < end;) {
    const start = at;
    at = source.varint(at, end);
    const number = source.low >>> 3;
    const wire = source.low & 7;
    if (source.high !== 0 || number === 0 || number > MAXIMUM_FIELD_NUMBER)
      throw malformed(`${source.name}: expected a field at byte ${start}.`);
    let low = 0;
    let high = 0;
    let begin = at;
    if (wire === Wire.varint) {
      at = source.varint(at, end);
      ({ low, high } = source);
    } else if (wire === Wire.fixed64) at += 8;
    else if (wire === Wire.fixed32) at += 4;
    else if (wire === Wire.bytes) {
      begin = source.varint(at, end);
      at = begin + source.high * 2 ** 32 + source.low;
    } else throw malformed(`${source.name}: field ${number} at byte ${start} has wire type ${wire}, which ONNX does not use.`);
    if (at > end) throw source.ended(end, `field ${number} at byte ${start}, which claims ${at - begin} bytes`);
    yield new Field(source, { number, wire, start, begin, end: at, low, high });
  }
}

/** What is left of {@link MAXIMUM_FIELDS} for a whole model. */
export class FieldBudget {
  #left = MAXIMUM_FIELDS;

  spend(source: ByteSource): void {
    if (--this.#left < 0) throw tooLarge(`${source.name}: more than ${MAXIMUM_FIELDS} fields.`);
  }
}

/** The fields of one message by number. */
export class Message {
  readonly slice: Slice;
  /** What it is, for messages to people. */
  readonly kind: string;
  readonly #fields = new Map<number, Field[]>();

  /** Throws as {@link fields}, and `CHECKPOINT_TOO_LARGE`. */
  constructor(slice: Slice, kind: string, budget: FieldBudget) {
    this.slice = slice;
    this.kind = kind;
    for (const field of fields(slice)) {
      budget.spend(slice.source);
      const same = this.#fields.get(field.number);
      if (same) same.push(field);
      else this.#fields.set(field.number, [field]);
    }
  }

  /** A field that occurs at most once: parsers disagree about which of two counts (CWE-436). */
  one(number: number): Field | null {
    const same = this.#fields.get(number);
    if (same && same.length > 1) throw malformed(`${same[1]!.where}: ${this.kind} has it twice.`);
    return same?.[0] ?? null;
  }

  all(number: number): readonly Field[] {
    return this.#fields.get(number) ?? [];
  }
}

/** Calls `visit` with the halves of each number of a repeated field, packed or not. */
export function eachVarint(field: Field, visit: (low: number, high: number) => void): void {
  const { source } = field;
  if (field.wire === Wire.varint) {
    source.varint(field.begin, field.end);
    return visit(source.low, source.high);
  }
  field.expect(Wire.bytes);
  for (let at = field.begin; at < field.end;) {
    at = source.varint(at, field.end);
    visit(source.low, source.high);
  }
}

/** The place of each fixed-size number of a repeated field, packed or not, as one range of whole numbers. */
export function fixedRange(field: Field, wire: typeof Wire.fixed32 | typeof Wire.fixed64): Slice {
  if (field.wire === wire) return new Slice(field.source, field.begin, field.end);
  const slice = field.slice();
  const width = wire === Wire.fixed32 ? 4 : 8;
  if (slice.length % width !== 0) throw malformed(`${field.where}: expected numbers of ${width} bytes, got ${slice.length} bytes.`);
  return slice;
}
