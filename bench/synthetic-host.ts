import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Inventory } from '../src/gather/inventory.ts';
import type { Volume } from '../src/libvirt/volume.ts';
import { createQcow2 } from '../test/support/qemu.ts';
import { HEADER_BYTES } from './host.ts';

const TESTDATA = fileURLToPath(new URL('../../testdata/', import.meta.url));
const POOL = 'uvtool';

/**
 * Lists a host that no libvirtd has: so many domains, each with an overlay on one image and a disk of its own. The documents
 * are those of `testdata` with other names, the files are real, of one header each.
 */
export async function synthesise(domains: number, folder: string): Promise<Inventory> {
  const base = join(folder, 'base.qcow2');
  await createQcow2(base, { sizeBytes: 2 ** 30 });
  const overlay = await headerOf(join(folder, 'template.qcow2'), base);
  const own = (await readFile(base)).subarray(0, HEADER_BYTES);
  const xml = {
    domain: await sample('domain/file-inactive.xml'),
    overlay: await sample('volume/absolute.xml'),
    own: await sample('volume/no-backing.xml'),
  };
  const volumes = [volumeOf(base, xml.own)];
  const documents = [];
  for (let index = 0; index < domains; index++) {
    const paths = ['', '-ds'].map((suffix) => join(folder, `domain${index}${suffix}.qcow`));
    const [system = '', data = ''] = paths;
    await writeFile(system, overlay);
    await writeFile(data, own);
    volumes.push(volumeOf(system, xml.overlay, base), volumeOf(data, xml.own));
    const name = `domain${index}`;
    const text = xml.domain.replaceAll(
      /'\/var\/[^']*\/web1(-ds)?\.qcow'/g,
      (_whole, suffix) => `'${paths[suffix === undefined ? 0 : 1]}'`,
    );
    const inactive = { name: `domain ${name}, inactive XML`, xml: text.replace('<name>web1<', `<name>${name}<`) };
    documents.push({ name, uuid: String(index), isActive: false, documents: [inactive] });
  }
  const pool = {
    name: POOL,
    uuid: 'b1b6ffc1-2fcb-4a4f-9d3b-4f0c6d5f1a10',
    type: 'dir',
    isActive: true,
    targetPath: folder,
    sourceDevices: [],
    xml: `<pool type='dir'><name>${POOL}</name><target><path>${folder}</path></target></pool>`,
  };
  const entries = volumes.map(({ name }) => Buffer.from(name));
  return { pools: [{ pool, entries, volumes, unreadable: [], blindSpots: [] }], domains: documents, blindSpots: [] };
}

async function headerOf(path: string, backing: string): Promise<Buffer> {
  await createQcow2(path, { sizeBytes: 2 ** 30, backing });
  return (await readFile(path)).subarray(0, HEADER_BYTES);
}

function sample(name: string): Promise<string> {
  return readFile(join(TESTDATA, name), 'utf8');
}

function volumeOf(path: string, template: string, backingPath?: string): Volume {
  const name = path.slice(dirname(path).length + 1);
  const named = template
    .replace(/<name>[^<]*/, `<name>${name}`)
    .replace(/<key>[^<]*/, `<key>${path}`)
    .replace(/(<target>\s*<path>)[^<]*/, `$1${path}`)
    .replace(/(<backingStore>\s*<path>)[^<]*/, `$1${backingPath ?? ''}`);
  return {
    pool: POOL,
    name,
    isNameExact: true,
    key: path,
    path,
    type: 'file',
    format: 'qcow2',
    xml: named,
    capacityBytes: 2n ** 30n,
    allocationBytes: 4096n,
    lengthBytes: 4096n,
    modifiedAtMs: 0,
    backingPath,
    permissions: undefined,
  };
}
