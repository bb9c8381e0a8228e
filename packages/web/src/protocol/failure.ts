/** What the console says when something went wrong: the body of every answer that is not 2xx is `{"error": Failure}`. */
export interface Failure {
  /** Of `docs/reference/errors.md`. */
  readonly code: string;
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
}
