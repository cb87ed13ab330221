interface Entry<T> {
  readonly value: T;
  next: Entry<T> | undefined;
}

/** A first-in, first-out queue whose operations take constant time at any length (`Array.shift` does not). */
export class Fifo<T> {
  #first: Entry<T> | undefined;
  #last: Entry<T> | undefined;

  push(value: T): void {
    const entry: Entry<T> = { value, next: undefined };
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
  }

  /** Takes the oldest value; `undefined` when there is none. */
  shift(): T | undefined {
    const entry = this.#first;
    this.#first = entry?.next;
    if (this.#first === undefined) this.#last = undefined;
    return entry?.value;
  }
}
