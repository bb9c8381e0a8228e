/**
 * Several streams at once.
 * @module
 */

/** Yields what any source has, in the order of arrival, with the source's index; leaving early closes them all. */
export async function* merge<Value>(sources: readonly AsyncGenerator<Value>[]): AsyncGenerator<{ index: number; value: Value }> {
  const next = async (index: number): Promise<{ index: number; result: IteratorResult<Value> }> => ({
    index,
    result: await sources[index]!.next(),
  });
  const pending = new Map(sources.map((_, index) => [index, next(index)]));
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(index);
        continue;
      }
      yield { index, value: result.value };
      pending.set(index, next(index));
    }
  } finally {
    // A failed or abandoned sibling must not become an unhandled rejection.
    for (const promise of pending.values()) promise.catch(() => {});
    for (const source of sources) void source.return(undefined).catch(() => {});
  }
}
