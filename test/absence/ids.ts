/** A promise about what poolkeeper makes of absence: each has a test whose title ends with its id in brackets. */
export interface Promised {
  readonly id: string;
  /** The promise in one line. */
  readonly meaning: string;
  /** Whether it has to hold now; the others are for later releases. */
  readonly isDue: boolean;
}

/** Every promise, in order. A: what may be garbage; B: taking back; C: holders; D: names that lead to nothing; E: places; F: books; G: how it is held. */
export const PROMISES: readonly Promised[] = [
  due('A1', 'a volume goes by its record; without one only if a remembered source listed it and it has no metadata'),
  due('A2', "a volume named 'local:' without a record is a person's own and never garbage"),
  due('A3', "a product named 'local:' in a source is refused by name, the rest of the source goes on"),
  due('A4', 'nothing from a source retires, replaces or re-offers an own, persistent or snapshot image'),
  later('A5', 'a record that the books knew and that cannot be read keeps its volume'),
  due('A6', 'waiting counts time as the host lived it, at most a day for each boot'),
  due('B1', 'deletion is a rename into a trash on the same file system'),
  due('B2', 'undo brings back from the trash what stands on what, and never puts a file over another'),
  due('B3', 'trash is no root, holds nothing, and is hidden from every list but its own'),
  due('B4', 'orphans go the same way; --forever and --empty-trash unlink at once'),
  due('C1', 'a write lease, asked for after the move into the trash, proves that nobody has a file open'),
  due('C2', '/proc only gives names to holders, and nothing behind it is asked for its status'),
  due('C3', 'who cannot take a lease retires or refuses'),
  due('C4', "an overlay mount at, above or below a pool's target is a blind spot for the pool"),
  due('C5', 'a lease of a run ends early only if its process is provably gone'),
  due('D1', "'gone' is answered only by proof; a boot proves it where the file system does not survive one"),
  later('D2', 'renamed is not gone: a handle that opens is followed'),
  later('D3', 'a remembered file that exists keeps what its header stands on'),
  due('D4', 'a name without an answer that may stand on something is a blind spot'),
  due('D5', 'a raw image, or one of no stated format, has no chain and holds its name alone'),
  due('D6', 'every known situation in which something is not there holds, for every type of source'),
  due('D7', 'forget answers a name, a volume, or all that is missing, in one list'),
  due('D8', 'historical documents count like others and are grouped apart'),
  due('D9', 'exit status 13 only when a deletion was held back; a timer says it when it changes and weekly'),
  due('D10', 'a header that a guest wrote into its raw disk neither blocks nor makes root open anything'),
  due('D11', 'what else names images is read as well: links, options, mounts, other daemons'),
  due('D12', 'what cannot be known is named by the manual and by doctor'),
  later('E1', 'every complete run notes the needs that it saw'),
  later('E2', 'file systems and folders are known by what they are, not by where they are mounted'),
  later('E3', 'the own pool on another folder or file system is a question'),
  due('E4', 'between judgement and deletion the identity of the target is compared again'),
  due('E5', 'a connection is local only if its files are the ones that this host sees'),
  due('E6', 'over a connection that is not local nothing is swept'),
  due('E7', 'nothing is deleted from storage that other hosts can see, unless told that this host is alone'),
  due('E8', 'a verdict on content holds for one size and time; what is being written is not judged'),
  due('E9', 'a replay never overwrites or removes what changed since'),
  later('F1', 'one set of books for each pool'),
  later('F2', "the books belong to the group of the daemon's socket"),
  later('F3', 'an index says what the books hold'),
  later('F4', 'books hold decisions, never trust'),
  later('F5', 'books are found by UUID, else by the identity of the target'),
  later('F6', 'lost books are not empty books'),
  later('F7', 'books of former versions are merged'),
  due('F8', "directories of poolkeeper's own and pools do not lie in each other; setting aside moves no volume"),
  later('G1', 'every id has a test and a twin'),
  due('G2', 'every command that deletes, moves or overwrites runs against it'),
  later('G3', 'hiding never deletes more, and destroying deletes exactly what the model says'),
  due('G4', 'thirty situations must go, and on sound hosts all garbage goes'),
  later('G5', 'every mutant of these rules turns a test red'),
];

function due(id: string, meaning: string): Promised {
  return { id, meaning, isDue: true };
}

function later(id: string, meaning: string): Promised {
  return { id, meaning, isDue: false };
}
