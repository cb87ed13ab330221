import { expect } from 'chai';
import { array, assert, property, string, stringMatching } from 'fast-check';
import type { Reference } from '../../../../src/core/reference.ts';
import { readReferences } from '../../../../src/libvirt/xml/references.ts';

const NAMESPACES =
  "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0' xmlns:xen='http://libvirt.org/schemas/domain/xen/1.0'";

/** Wraps leaves in a document: what stands between the elements of `place`, which may carry attributes. */
function nest(place: string, inner = ''): string {
  const steps = place.split(' > ');
  return steps.reduceRight((content, step) => `<${step}>${content}</${step.split(' ')[0]}>`, inner);
}

function domain(inner: string): string {
  return `<domain type='kvm' ${NAMESPACES}>${inner}</domain>`;
}

function found(xml: string): readonly Reference[] {
  return readReferences(xml).references;
}

type Row = readonly [place: string, inner: string, expected: Reference];

function path(value: string, evidence: string): Reference {
  return { kind: 'path', value, evidence };
}

function dir(value: string, evidence: string): Reference {
  return { kind: 'dir', value, evidence };
}

function fat(value: string, evidence: string): Reference {
  return { kind: 'dir', value, isFat: true, evidence };
}

function network(protocol: string, value: string, evidence: string): Reference {
  return { kind: 'network', value, protocol, evidence };
}

function volume(pool: string, value: string, evidence: string): Reference {
  return { kind: 'volume', value, pool, evidence };
}

// Values are relative where libvirt accepts it: so they cannot come from the sweep.
const SOURCES: readonly Row[] = [
  ["@ type='file'", "<source file='a.img'/>", path('a.img', '/source/@file')],
  ["@ type='block'", "<source dev='vg/lv'/>", path('vg/lv', '/source/@dev')],
  ["@ type='dir'", "<source dir='fat'/>", fat('fat', '/source/@dir')],
  ["@ type='network'", "<source protocol='rbd' name='p/i'/>", network('rbd', 'p/i', '/source/@name')],
  ["@ type='network'", "<source protocol='rbd' name='p/i@s'/>", network('rbd', 'p/i', '/source/@name')],
  ["@ type='network'", "<source protocol='gluster' name='v/a@b'/>", network('gluster', 'v/a@b', '/source/@name')],
  ["@ type='volume'", "<source pool='p' volume='v'/>", volume('p', 'v', '/source/@volume')],
];

const SOURCE_PLACES = [
  ['domain', 'devices', 'disk'],
  ['domain', 'devices', 'disk', 'backingStore'],
  ['domain', 'devices', 'disk', 'backingStore', 'backingStore', 'backingStore'],
  ['domain', 'devices', 'disk', 'mirror'],
  ['domain', 'devices', 'disk', 'mirror', 'backingStore', 'backingStore'],
  ['domain', 'devices', 'disk', 'source', 'dataStore'],
  ['domain', 'devices', 'disk', 'backingStore', 'source', 'dataStore'],
  ['domain', 'os', 'nvram'],
  ['domainsnapshot', 'disks', 'disk'],
  ['domainsnapshot', 'domain', 'devices', 'disk'],
  ['domainsnapshot', 'inactiveDomain', 'devices', 'disk'],
  ['domaincheckpoint', 'domain', 'devices', 'disk'],
  ['domstatus', 'domain', 'devices', 'disk'],
  ['domstatus', 'blockjobs', 'blockjob', 'chains', 'disk'],
  ['domstatus', 'blockjobs', 'blockjob', 'chains', 'disk', 'backingStore'],
  ['domstatus', 'blockjobs', 'blockjob', 'mirror'],
  ['domstatus', 'blockjobs', 'blockjob', 'src'],
  ['domstatus', 'blockjobs', 'blockjob', 'store'],
];

const LEAVES: readonly Row[] = [
  ['os > kernel', 'k ', path('k ', '/os/kernel')],
  ['os > initrd', 'i', path('i', '/os/initrd')],
  ['os > dtb', 'd', path('d', '/os/dtb')],
  ['os > shim', 's', path('s', '/os/shim')],
  ['os > loader', 'l', path('l', '/os/loader')],
  ['os > nvram', 'n', path('n', '/os/nvram')],
  ["os > nvram template='t'", '', path('t', '/os/nvram/@template')],
  ["os > varstore path='v'", '', path('v', '/os/varstore/@path')],
  ["os > varstore template='v'", '', path('v', '/os/varstore/@template')],
  ["os > acpi > table type='slic'", 't', path('t', '/os/acpi/table')],
  ["sysinfo type='fwcfg' > entry name='opt/a' file='f'", '', path('f', '/sysinfo/entry/@file')],
  ["devices > interface > rom file='r'", '', path('r', '/devices/interface/rom/@file')],
  ["devices > hostdev > rom file='r'", '', path('r', '/devices/hostdev/rom/@file')],
  ["devices > filesystem type='file' > source file='f'", '', path('f', '/devices/filesystem/source/@file')],
  ["devices > filesystem type='block' > source dev='f'", '', path('f', '/devices/filesystem/source/@dev')],
  ["devices > filesystem type='mount' > source dir='/f'", '', dir('/f', '/devices/filesystem/source/@dir')],
  ["devices > filesystem > source dir='/f'", '', dir('/f', '/devices/filesystem/source/@dir')],
  [
    "devices > filesystem type='volume' > source pool='p' volume='v'",
    '',
    volume('p', 'v', '/devices/filesystem/source/@volume'),
  ],
  ['devices > memory > source > path', 'm', path('m', '/devices/memory/source/path')],
  ["devices > hostdev type='storage' > source > block", 'b', path('b', '/devices/hostdev/source/block')],
  [
    "devices > hostdev type='scsi' > source protocol='iscsi' name='iqn.x/1'",
    '',
    network('iscsi', 'iqn.x/1', '/devices/hostdev/source/@name'),
  ],
  ["devices > lease > target path='l'", '', path('l', '/devices/lease/target/@path')],
  ["devices > audio type='file' path='a'", '', path('a', '/devices/audio/@path')],
  [
    "devices > tpm > backend type='emulator' > source type='file' path='t'",
    '',
    path('t', '/devices/tpm/backend/source/@path'),
  ],
  [
    "devices > tpm > backend type='emulator' > source type='dir' path='t'",
    '',
    dir('t', '/devices/tpm/backend/source/@path'),
  ],
  ['devices > pstore > path', 'p', path('p', '/devices/pstore/path')],
  ["devices > disk > source > identity keyfile='k'", '', path('k', '/devices/disk/source/identity/@keyfile')],
  ["devices > disk > source > knownHosts path='k'", '', path('k', '/devices/disk/source/knownHosts/@path')],
  ["devices > disk > source file='f'", '', path('f', '/devices/disk/source/@file')],
  ["devices > disk > mirror file='f'", '', path('f', '/devices/disk/mirror/@file')],
  ['devices > emulator', 'e', path('e', '/devices/emulator')],
  ['bootloader', 'b', path('b', '/bootloader')],
  ['devices > smartcard > database', 'd', path('d', '/devices/smartcard/database')],
  ["devices > interface > script path='s'", '', path('s', '/devices/interface/script/@path')],
  ["devices > interface > downscript path='s'", '', path('s', '/devices/interface/downscript/@path')],
  ["devices > interface > backend logFile='l'", '', path('l', '/devices/interface/backend/@logFile')],
  ["devices > filesystem > binary path='v'", '', path('v', '/devices/filesystem/binary/@path')],
  ["devices > graphics type='sdl' xauth='x'", '', path('x', '/devices/graphics/@xauth')],
  ['blkiotune > device > path', 'd', path('d', '/blkiotune/device/path')],
  ["devices > rng > backend model='random'", '/srv/r', path('/srv/r', '/devices/rng/backend')],
  ["qemu:commandline > qemu:arg value='file=/a,,b'", '', path('/a,b', '/qemu:commandline/qemu:arg/@value')],
  ["qemu:commandline > qemu:env name='A' value='/a'", '', path('/a', '/qemu:commandline/qemu:env/@value')],
  ["xen:commandline > xen:arg value='/a'", '', path('/a', '/xen:commandline/xen:arg/@value')],
  [
    "qemu:override > qemu:device > qemu:property value='/a'",
    '',
    path('/a', '/qemu:override/qemu:device/qemu:property/@value'),
  ],
];

const CHARACTER_DEVICES = ['serial', 'parallel', 'console', 'channel', 'redirdev', 'smartcard', 'rng > backend'];

const NO_REFERENCE: readonly (readonly [place: string, inner: string])[] = [
  ["metadata > x:a xmlns:x='urn:x' > source protocol='rbd' name='p/i' file='/a'", '/b'],
  ['title', '/a'],
  ['description', '/a'],
  ['seclabel > label', '/a'],
  ['devices > disk > source > seclabel > label', '/a'],
  ['resource > partition', '/machine'],
  ['os > init', '/sbin/init'],
  ['os > initarg', '/a'],
  ["os > initenv name='A'", '/a'],
  ['os > initdir', '/a'],
  ['os > cmdline', '/a'],
  ['os > root', '/dev/ubda'],
  ["devices > disk > privateData > qom name='/machine/peripheral/virtio-disk0'", ''],
  ["devices > serial type='pty' tty='/dev/pts/1'", ''],
  ['bootloader_args', '/a'],
  ["devices > filesystem > target dir='/a'", ''],
  ["devices > filesystem type='bind' > source dir='/a'", ''],
  ["devices > filesystem > source socket='/a'", ''],
  ["devices > disk > encryption > secret usage='/a'", ''],
  ["devices > disk > auth > secret usage='/a'", ''],
  ["devices > disk type='network' > source > config file='/etc/ceph/ceph.conf'", ''],
  ["devices > disk type='network' > source > host socket='/a'", ''],
  ["devices > disk type='network' > source > cookies > cookie name='a'", '/a'],
  ["devices > disk type='vhostuser' > source type='unix' path='/a'", ''],
  ["devices > disk type='vhostvdpa' > source dev='/dev/vhost-vdpa-0'", ''],
  ["devices > disk type='ctl' > source dev='/dev/cam/ctl'", ''],
  ["devices > disk type='nvme' > source type='pci' namespace='1'", ''],
  ["devices > disk > source > reservations > source type='unix' path='/a'", ''],
  ["devices > interface type='vhostuser' > source type='unix' path='/a'", ''],
  ["devices > interface type='vdpa' > source dev='/dev/vhost-vdpa-0'", ''],
  ["devices > interface > backend tap='/dev/net/tun' vhost='/dev/vhost-net'", ''],
  ["devices > interface type='direct' > source dev='eth0'", ''],
  ["devices > graphics socket='/a' passwd='/b'", ''],
  ["devices > graphics > listen type='socket' socket='/a'", ''],
  ["devices > graphics > gl rendernode='/dev/dri/renderD128'", ''],
  ["devices > video > model > acceleration rendernode='/dev/dri/renderD128'", ''],
  ["devices > input type='evdev' > source dev='/dev/input/event0'", ''],
  ["devices > input type='passthrough' > source evdev='/dev/input/event0'", ''],
  ["devices > audio type='oss' > input dev='/dev/dsp'", ''],
  ["devices > tpm > backend type='passthrough' > device path='/dev/tpm0'", ''],
  ["devices > tpm > backend type='external' > source type='unix' path='/a'", ''],
  ["devices > shmem > server path='/a'", ''],
  ["devices > rng > backend model='random'", '/dev/hwrng'],
  ["devices > console type='pty' tty='/dev/pts/1'", ''],
  ["devices > hostdev type='misc' > source > char", '/dev/input/event0'],
  ["sysinfo type='smbios' > bios > entry name='vendor'", '/a'],
  ["sysinfo type='fwcfg' > entry name='opt/a'", '/a'],
  ["launchSecurity type='sev' > dhCert", '/9j/4AAQ'],
  ["launchSecurity type='sev' > session", '/9j/4AAQ'],
  ["launchSecurity type='sev-snp' > idAuth", '/9j/4AAQ'],
  ["launchSecurity type='tdx' > quoteGenerationService path='/run/qgs.socket'", ''],
  ["qemu:commandline > qemu:arg value='virtio-net-pci,netdev=n,mac=52:54:00:00:00:01'", ''],
];

describe('readReferences', () => {
  for (const place of SOURCE_PLACES) {
    const [root = '', ...steps] = place;
    for (const [attributes, inner, expected] of SOURCES) {
      const outer = steps.slice(0, -1).join(' > ');
      const host = attributes.replace('@', steps.at(-1) ?? '');
      it(`finds ${inner} in /${place.join('/')} with ${attributes.slice(2)}`, () => {
        const evidence = `/${place.join('/')}${expected.evidence}`;
        expect(found(nest(`${root} > ${outer} > ${host}`, inner))).to.deep.equal([{ ...expected, evidence }]);
      });
    }
  }

  for (const [place, inner, expected] of LEAVES) {
    it(`finds ${place} ${inner}`, () => {
      expect(found(domain(nest(place, inner)))).to.deep.equal([
        { ...expected, evidence: `/domain${expected.evidence}` },
      ]);
    });
  }

  for (const device of CHARACTER_DEVICES) {
    const at = `/domain/devices/${device.replace(' > ', '/')}`;

    it(`finds the file of a ${device} and its log`, () => {
      const xml = domain(nest(`devices > ${device} type='file'`, "<source path='f'/><log file='l'/>"));
      expect(found(xml)).to.deep.equal([path('f', `${at}/source/@path`), path('l', `${at}/log/@file`)]);
    });

    for (const [type, value] of [
      ['unix', '/a'],
      ['pty', '/dev/pts/1'],
      ['pipe', '/a'],
      ['dev', '/dev/ttyS0'],
    ]) {
      it(`finds nothing in a ${device} of type ${type}`, () => {
        expect(found(domain(nest(`devices > ${device} type='${type}'`, `<source path='${value}'/>`)))).to.deep.equal(
          [],
        );
      });
    }
  }

  for (const [place, inner] of NO_REFERENCE) {
    it(`finds nothing in ${place} ${inner}`, () => {
      expect(found(domain(nest(place, inner)))).to.deep.equal([]);
    });
  }

  it('names an RBD image with and without a namespace that stands beside it', () => {
    const at = '/domain/devices/disk/source/@name';
    const xml = domain(nest("devices > disk type='network'", "<source protocol='rbd' namespace='n' name='p/i@s'/>"));
    expect(found(xml)).to.deep.equal([network('rbd', 'p/i', at), network('rbd', 'p/n/i', at)]);
  });

  it('reads nothing below the end of a backing chain', () => {
    expect(found(domain('<devices><disk><backingStore/></disk></devices>'))).to.deep.equal([]);
  });

  it('skips empty leaves', () => {
    const disks = "<disk><source file=''/></disk><disk type='network'><source protocol='nbd' name=''/></disk>";
    expect(found(domain(`<os><kernel> </kernel><loader/></os><devices>${disks}</devices>`))).to.deep.equal([]);
  });

  it('names the same thing once, with the place that a rule knows', () => {
    const xml = domain(
      "<future at='/a.img'/><devices><disk><source file='/a.img'/></disk><again at='/a.img'/></devices>",
    );
    expect(found(xml)).to.deep.equal([path('/a.img', '/domain/devices/disk/source/@file')]);
  });

  it('reads a text in one piece across comments and CDATA', () => {
    expect(found(domain('<os><kernel>/boot/<!-- c -->a<![CDATA[&b]]></kernel></os>'))).to.deep.equal([
      path('/boot/a&b', '/domain/os/kernel'),
    ]);
  });

  it('reads documents in a default namespace', () => {
    const xml = "<domain xmlns='urn:x'><devices><disk type='file'><source file='a'/></disk></devices></domain>";
    expect(found(xml)).to.deep.equal([path('a', '/domain/devices/disk/source/@file')]);
  });

  it('gives a blank for a tab or newline that stands raw in an attribute, and the character for an escaped one', () => {
    const xml = domain("<devices><disk><source file='/a\nb\tc&#10;d&#9;e'/></disk></devices>");
    expect(found(xml)).to.deep.equal([path('/a b c\nd\te', '/domain/devices/disk/source/@file')]);
  });

  it('keeps tabs, newlines and blanks of a text', () => {
    expect(found(domain('<os><kernel> /a\n\tb </kernel></os>'))).to.deep.equal([
      path(' /a\n\tb ', '/domain/os/kernel'),
    ]);
  });

  it('keeps names that are not UTF-8, with replacement characters', () => {
    const xml = Buffer.from(domain("<devices><disk><source file='/a\xff.img'/></disk></devices>"), 'latin1').toString(
      'utf8',
    );
    expect(found(xml)).to.deep.equal([path('/a\ufffd.img', '/domain/devices/disk/source/@file')]);
  });

  it('finds any absolute path in any attribute or text of an element that it does not know', () => {
    const name = stringMatching(/^x[a-z]{0,8}$/);
    const value = string({ unit: 'grapheme' }).map((text) => `/${text.replaceAll(/[\p{Cc}\s]/gu, '_')}`);
    assert(
      property(array(name, { minLength: 1, maxLength: 5 }), name, value, (steps, attribute, file) => {
        const escaped = file
          .replaceAll('&', '&amp;')
          .replaceAll('<', '&lt;')
          .replaceAll("'", '&apos;')
          .replaceAll('>', '&gt;');
        const at = `/domain/devices/${steps.join('/')}`;
        const asAttribute = domain(nest(`devices > ${steps.join(' > ')} ${attribute}='${escaped}'`));
        const asText = domain(nest(`devices > ${steps.join(' > ')}`, escaped));
        expect(found(asAttribute)).to.deep.equal([path(file, `${at}/@${attribute}`)]);
        expect(found(asText)).to.deep.equal([path(file, at)]);
      }),
    );
  });
});
