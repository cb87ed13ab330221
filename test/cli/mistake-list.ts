/** What has to hold on the host for a mistake to be one; `mistakes.test.ts` brings it about. */
export type Circumstance =
  | 'while another run holds the pool'
  | 'on a full disk'
  | 'on a read-only disk'
  | 'as a stranger';

/** A command line, with `/host` for the test's directory and `http://images.test/` for its server. */
export type Mistake = string | readonly [line: string, when: Circumstance];

/**
 * What tired administrators type. The host has images noble (free), jammy (in use by domain web1) and local:golden (locked).
 * By what is wrong; in the order of the golden file.
 */
export const MISTAKES: Readonly<Record<string, Readonly<Record<string, Mistake>>>> = {
  'The command line': {
    'no command': '',
    'an unknown command': 'snyc',
    'an unknown command that resembles none': 'frobnicate',
    'an unknown subcommand': 'keyring remove',
    'a command without its subcommand': 'lease',
    'an unknown option': 'sync --frobnicate',
    'an unknown option of two words': 'sync --dry-rum',
    'an option without its value': 'sync --pool',
    'an option without its value, before another': 'sync --pool --dry-run',
    'a value that is not among the choices': 'sync --gone never',
    'a command without its argument': 'show',
    'an argument too many': 'why one two',
    'a shell without completion': 'completion tcsh',
    'a grace period that is none': 'sync --grace soon',
    'a unit that is none': 'gc --min-age 3y',
    'a negative age': 'sync --min-age -1',
    'an endless grace period': 'sync --grace 999999999999w',
    'a size that is none': 'sync --reserve 10GG',
    'no jobs': 'sync --jobs 0',
    'half a job': 'sync --jobs 1.5',
    'jobs beyond number': 'sync --jobs 1000000000',
    'versions that are no number': 'sync --keep-versions all',
    'two options that contradict each other': 'clone release=noble web2 --overlay --full',
    'no size for a new image': 'create --name data',
    'a lease that is too long': 'lease run release=noble --ttl 30d -- true',
    'a lease without a command': 'lease run release=noble',
    'a question without a terminal': 'purge',
  },

  'The configuration': {
    'a file that is not there': 'list --config /host/none.yaml',
    'a directory': 'list --config /host/folder',
    'a tab': 'list --config /host/tab.yaml',
    'an unknown key': 'list --config /host/key.yaml',
    'a key that stands there twice': 'list --config /host/twice.yaml',
    'a duration that is none': 'list --config /host/duration.yaml',
    'a number that is none': 'list --config /host/number.yaml',
    'a relative directory': 'list --config /host/relative.yaml',
    'a source without an address': 'list --config /host/source.yaml',
    'several mistakes': 'config check /host/mistakes.yaml',
  },

  'libvirt and its pools': {
    'a URI that libvirt does not know':
      'list --connect kvm+unix:///session?socket=/var/lib/libvirt/run/libvirt/libvirt-sock',
    'a URI that is none': 'list --connect localhost',
    'a libvirtd that does not run': 'list --connect qemu+unix:///session?socket=/host/none',
    'a user who is not in group libvirt': [
      'list --connect qemu+unix:///session?socket=/host/private/sock',
      'as a stranger',
    ],
    'a pool that does not exist': 'sync --pool nope',
    'a pool that is not active': 'sync --pool idle',
    'a deletion, while a pool that is not active may hold what needs the volume': 'orphans --delete --min-age 0',
    'a pool that holds no image files': 'sync --pool vg0 --connect test:///host/node.xml',
    'a pool to create nowhere': 'sync --pool new --create-pool',
    'a pool to create in a relative place': 'sync --pool new --create-pool=images',
    'no room in the pool': 'sync --pool small',
    'more to be kept free than there is': 'import /host/disk.img --name disk --reserve 1000T',
    'the metadata directory of another pool': 'list --pool small --metadata-dir /host/metadata',
    'two runs at once': ['gc --yes', 'while another run holds the pool'],
  },

  'The state': {
    'a file in place of the state directory': 'sync --state-dir /host/file',
    'a state directory below a file': 'sync --state-dir /host/file/state',
    'a file in place of the metadata directory': 'sync --metadata-dir /host/file',
    'a state directory on a full disk': ['sync --state-dir /host/disk/state', 'on a full disk'],
    'a state directory that cannot be written to': ['sync --state-dir /host/disk/other', 'on a read-only disk'],
  },

  'Sources and their keys': {
    'an address that is none': 'sync --source http://',
    'an empty address': "sync --source ''",
    'an address of a kind that cannot be read': 'sync --source ftp://images.test/',
    'an address without its scheme': 'sync --source images.test/releases',
    'a slash too few': 'sync --source http:/images.test/',
    'a name that no source has': 'sync --source ubunut',
    'the wrong directory of a server, with a password':
      'sync --source http://me:secret@images.test/nowhere --keyring /host/keyring.gpg',
    'a directory that is not there': 'sync --source /nowhere',
    'the wrong first document':
      'sync --source http://images.test/ --keyring /host/keyring.gpg --path streams/v1/idnex.sjson',
    'a server that does not answer': 'sync --source http://127.0.0.1:9/ --keyring /host/keyring.gpg --retries 0',
    'a keyring that is not there': 'sync --keyring /nowhere.gpg',
    'a keyring without a key': 'sync --keyring /host/file',
    'a keyring with another key': 'sync --keyring /host/other.gpg',
    'a key to add that is not there': 'keyring add /nowhere.gpg',
    'a key to add that is none': 'keyring add /host/config.yaml',
  },

  'Filters and names': {
    'a word that is no filter': 'sync noble',
    'a query with a word that is no filter': 'query noble',
    'a regular expression that is none': 'sync arch~[',
    'filters that match nothing': 'sync release=warty arch=amd64',
    'a typo in a key': 'sync relase=noble',
    'a typo in a value': 'sync release=nobel',
    'two equal signs': 'sync arch==amd64',
    'an equal sign before the tilde': 'sync arch=~amd64',
    'a truth value in lower case': 'sync supported=true',
    'a list that matches nothing': 'list release=nobel',
    'an image that is not there': 'show release=nobel',
    'a name of two images': 'clone arch=amd64 web2',
    'the name of a domain for that of a volume': 'why web9',
  },

  'What is done to images': {
    'to delete a locked one': 'delete local:golden',
    'to delete one in use, at once': 'delete release=jammy --now',
    'to take back what is not to be deleted': 'undo release=noble',
    'to snapshot what is not persistent': 'snapshot create local:golden',
    'to make persistent, while a pool that is not active may hold what needs it': 'persistent local:golden',
    'a kind of image that there is not': 'chtype release=noble floppy',
    'a user that there is not': 'chown release=noble nobody-at-all',
    'permissions that are none': 'chmod release=noble 999',
    'a name that exists': 'import /host/disk.img --name golden',
    'a name with a slash': 'import /host/disk.img --name a/b',
    'an import without a name': 'import /host/disk.img',
    'an import of what is not there': 'import /host/none.img --name disk',
    'an import of a directory': 'import /host/folder --name disk',
    'an import of an empty file': 'import /host/file --name disk',
    'an import of what names a file of the host': 'import /host/hostile.img --name disk',
    'an import with the wrong digest':
      'import /host/disk.img --name disk --digest sha256:0000000000000000000000000000000000000000000000000000000000000000',
    'an import with half a digest': 'import /host/disk.img --name disk --digest sha256:00',
    'a clone with a name that exists': 'clone release=noble web1',
    'a clone with a path for a name': 'clone release=noble /host/web2',
    'a clone that is smaller than its image': 'clone release=noble web2 --size 1K',
    'a clone without a name': 'clone release=noble',
  },

  Plans: {
    'a plan that is not there': 'apply /host/none.json',
    'what is no plan': 'apply /host/config.yaml',
    'a plan that was edited': 'apply /host/edited.json',
    'a plan in place of something else': 'gc --out /host/config.yaml',
  },
};

/** The configuration files that are wrong, by name. */
export const CONFIGURATIONS: Readonly<Record<string, string>> = {
  'tab.yaml': 'retention:\n\tgrace: 1h\n',
  'key.yaml': 'retension:\n  grace: 1h\n',
  'twice.yaml': 'pool: a\npool: b\n',
  'duration.yaml': 'retention:\n  grace: one hour\n',
  'number.yaml': 'jobs: many\n',
  'relative.yaml': 'state-dir: var/lib/poolkeeper\n',
  'source.yaml': 'sources:\n  ubuntu:\n    keyring: ubuntu\n',
  'mistakes.yaml': 'pool: a\npool: b\nretension:\n  grace: 1h\njobs: 99\n',
};
