/** What the XML of a volume says, as text. */
export interface VolumeTexts {
  readonly type: string | undefined;
  readonly path: string | undefined;
  readonly format: string | undefined;
  readonly capacity: string | undefined;
  readonly allocation: string | undefined;
  readonly physical: string | undefined;
  readonly modifiedAt: string | undefined;
  /** When owner, mode or content changed last (ctime). */
  readonly changedAt: string | undefined;
  readonly mode: string | undefined;
  readonly owner: string | undefined;
  readonly group: string | undefined;
  readonly backingPath: string | undefined;
}

/** A document of the form, and the text of its first element. */
interface VolumeForm extends VolumeTexts {
  readonly name: string;
}

/** Honest documents have not a tenth of it. */
const MAX_LENGTH = 65_536;

/** Printable, in ASCII, and without what XML gives a meaning to. */
const TEXT = String.raw`[ -%'-;=?-~]+`;
const WORD = String.raw`[\w.-]+`;
const TIME = String.raw`\d+(?:\.\d+)?`;

const TIMESTAMPS = ['atime', 'mtime', 'ctime', 'btime'];

/** An element with nothing but text in it, on a line of its own. */
function line(indent: number, name: string, text: string): string {
  return String.raw`\n {${indent}}<${name}>${text}</${name.replace(/ .*/, '')}>`;
}

function optional(pattern: string): string {
  return `(?:${pattern})?`;
}

/** What libvirt tells about the file of a volume or of its backing store, after the path; `names` are those of groups. */
function fileForm(names: typeof ANY_FILE): string {
  const groups: Readonly<Record<string, string>> = { mtime: names.mtime, ctime: names.ctime };
  const times = TIMESTAMPS.map((time) => optional(line(6, time, groups[time] ?? TIME)));
  const permissions = [
    line(6, 'mode', names.mode),
    line(6, 'owner', names.owner),
    line(6, 'group', names.group),
    optional(line(6, 'label', TEXT)),
  ];
  return [
    optional(String.raw`\n {4}<format type='${names.format}'/>`),
    optional(String.raw`\n {4}<permissions>${permissions.join('')}\n {4}</permissions>`),
    optional(String.raw`\n {4}<timestamps>${times.join('')}\n {4}</timestamps>`),
    optional(line(4, 'compat', WORD)),
    optional(line(4, "clusterSize unit='B'", String.raw`\d+`)),
    optional(String.raw`\n {4}<features/>|\n {4}<features>(?:\n {6}<[a-z_]+/>)+\n {4}</features>`),
  ].join('');
}

const ANY_FILE = {
  format: WORD,
  mode: String.raw`\d+`,
  owner: String.raw`\d+`,
  group: String.raw`\d+`,
  mtime: TIME,
  ctime: TIME,
};

const OWN_FILE = {
  format: `(?<format>${WORD})`,
  mode: String.raw`(?<mode>\d+)`,
  owner: String.raw`(?<owner>\d+)`,
  group: String.raw`(?<group>\d+)`,
  mtime: `(?<modifiedAt>${TIME})`,
  ctime: `(?<changedAt>${TIME})`,
};

/** The whole document, so that nothing else can stand in it. */
const FORM = new RegExp(
  [
    String.raw`^<volume type='(?<type>[a-z]+)'>`,
    line(2, 'name', `(?<name>${TEXT})`),
    line(2, 'key', TEXT),
    optional(String.raw`\n {2}<source>\n {2}</source>`),
    line(2, "capacity unit='bytes'", String.raw`(?<capacity>\d+)`),
    line(2, "allocation unit='bytes'", String.raw`(?<allocation>\d+)`),
    optional(line(2, "physical unit='bytes'", String.raw`(?<physical>\d+)`)),
    String.raw`\n {2}<target>`,
    line(4, 'path', `(?<path>${TEXT})`),
    fileForm(OWN_FILE),
    String.raw`\n {2}</target>`,
    optional(
      String.raw`\n {2}<backingStore>${line(4, 'path', `(?<backingPath>/${TEXT})`)}${fileForm(ANY_FILE)}\n {2}</backingStore>`,
    ),
    String.raw`\n</volume>\n?$`,
  ].join(''),
);

/**
 * Reads a volume's document of the one form in which libvirt writes nearly all of them (`virStorageVolDefFormat`): each
 * element at most once and in its place, with plain text, and with a backing store that is an absolute path. Then it is known
 * what a parser would find; of any other document nothing is said.
 */
export function readVolumeForm(xml: string): VolumeForm | undefined {
  const groups = xml.length > MAX_LENGTH ? undefined : FORM.exec(xml)?.groups;
  if (groups === undefined) return undefined;
  const { name = '', type, path, format, capacity, allocation, physical, modifiedAt } = groups;
  const { changedAt, mode, owner, group, backingPath } = groups;
  const times = { modifiedAt, changedAt };
  return { name, type, path, format, capacity, allocation, physical, ...times, mode, owner, group, backingPath };
}
