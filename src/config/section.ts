import { nearNames } from '../core/near-names.ts';
import { UsageError } from '../errors.ts';
import type { Mistake, Placed, Position } from './mistake.ts';
import type { Entry, Tree } from './yaml-tree.ts';

/** Checks what somebody wrote and says what it means. @throws UsageError when it makes no sense; `key` is for the message. */
export type ReadValue<T> = (text: string, key: string) => T;

/** One map of a configuration file. Whatever is not asked for by the time that it is closed is a mistake. */
export class Section {
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #mistakes: Mistake[];
  readonly #known = new Set<string>();
  /** Whether keys could be in it. */
  readonly isMap: boolean;

  /** Anything that is no map holds no key; `name` is what the section is called in messages. */
  constructor(tree: Tree, name: string, mistakes: Mistake[]) {
    this.#mistakes = mistakes;
    this.#entries = new Map(tree.kind === 'map' ? tree.entries.map((entry) => [entry.key, entry]) : []);
    this.isMap = tree.kind === 'map' || tree.kind === 'nothing';
    if (!this.isMap && tree.kind !== 'refused')
      this.#refuse(tree, `${name} must be a map of keys`, `write 'KEY: VALUE', with a space behind the colon`);
  }

  /** A single value; `undefined` when it is not there, or makes no sense. */
  value<T>(key: string, read: ReadValue<T>): Placed<T> | undefined {
    const tree = this.#find(key);
    return tree === undefined ? undefined : this.#read(tree, key, read);
  }

  /** A list of at least one value. */
  list<T>(key: string, read: ReadValue<T>): Placed<readonly T[]> | undefined {
    const tree = this.#find(key);
    if (tree === undefined) return undefined;
    if (tree.kind !== 'list') {
      this.#refuse(tree, `'${key}' must be a list`, `write [VALUE, VALUE], or '- VALUE' on a line for each`);
      return undefined;
    }
    if (tree.members.length === 0) {
      this.#refuse(tree, `'${key}' is empty`, 'leave the line out to use the default');
      return undefined;
    }
    const members = tree.members.map((member) => this.#read(member, key, read));
    const values = members.flatMap((member) => (member === undefined ? [] : [member.value]));
    return { value: values, line: tree.line, column: tree.column };
  }

  /** A map inside the map; one that is not there, or of which all lines are comments, holds nothing. */
  section(key: string): Section {
    this.#known.add(key);
    const entry = this.#entries.get(key);
    return new Section(entry?.value ?? { kind: 'nothing', line: 1, column: 1 }, `'${key}'`, this.#mistakes);
  }

  /** Every key with the map that it stands for, in the order of the file: for maps whose keys are names. */
  named(): readonly (Position & { readonly name: string; readonly section: Section })[] {
    return [...this.#entries.values()].map(({ key, value, line, column }) => {
      this.#known.add(key);
      return { name: key, section: new Section(value, `'${key}'`, this.#mistakes), line, column };
    });
  }

  /** Whatever it is; for keys that are reserved. */
  peek(key: string): Tree | undefined {
    this.#known.add(key);
    return this.#entries.get(key)?.value;
  }

  /** Where the value of a key stands. */
  placeOf(key: string): Position | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Names the keys that nobody asked for. */
  close(): void {
    for (const { key, line, column } of this.#entries.values()) {
      if (this.#known.has(key)) continue;
      const [near] = nearNames(key, this.#known);
      const hint = near === undefined ? `known here: ${[...this.#known].join(', ')}` : `did you mean '${near}'?`;
      this.#refuse({ line, column }, `unknown key '${key}'`, hint);
    }
  }

  #find(key: string): Tree | undefined {
    this.#known.add(key);
    const tree = this.#entries.get(key)?.value;
    if (tree?.kind === 'refused') return undefined;
    if (tree?.kind !== 'nothing') return tree;
    this.#refuse(tree, `'${key}' has no value`, 'leave the line out to use the default');
    return undefined;
  }

  #read<T>(tree: Tree, key: string, read: ReadValue<T>): Placed<T> | undefined {
    const { line, column } = tree;
    if (tree.kind === 'refused') return undefined;
    if (tree.kind !== 'value' || tree.text === '') {
      this.#refuse(tree, `'${key}' must be a single value`, 'see poolkeeper.yaml(5) for an example');
      return undefined;
    }
    try {
      return { value: read(tree.text, `'${key}'`), line, column };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#refuse(tree, error.message, error.hint);
      return undefined;
    }
  }

  #refuse({ line, column }: Position, message: string, hint: string | undefined): void {
    this.#mistakes.push({ line, column, message, hint });
  }
}
