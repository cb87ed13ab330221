/** Where something stands in a file, counted from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Something in a configuration file that does not make sense. */
export interface Mistake extends Position {
  readonly message: string;
  /** What to do about it. */
  readonly hint: string | undefined;
}

/** A value, and where it stands. */
export interface Placed<T> extends Position {
  readonly value: T;
}
