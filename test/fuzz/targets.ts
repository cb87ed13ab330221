import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { timedExpression } from '../../src/commands/timed-expression.ts';
import { decodeBackingString, decodeBlockDevice } from '../../src/core/backing-string.ts';
import { filterHint, parseFilter } from '../../src/core/filter.ts';
import { decodeVolumeName, encodeMetadataName } from '../../src/core/identity.ts';
import { selectNewest } from '../../src/core/selection.ts';
import { checkDownloadedHeader } from '../../src/image-format/download-check.ts';
import { inspectImage } from '../../src/image-format/inspect-image.ts';
import { checksFor } from '../../src/commands/configuration-checks.ts';
import { readConfiguration } from '../../src/config/configuration.ts';
import { parseTree } from '../../src/config/yaml-tree.ts';
import { parseQcow2Header } from '../../src/image-format/qcow2.ts';
import { readReferences } from '../../src/libvirt/xml/references.ts';
import { assertPlainLines, splitClearSigned, unwrapClearSigned } from '../../src/simplestreams/clear-signed.ts';
import { parseDocument } from '../../src/simplestreams/document.ts';
import { flattenItems } from '../../src/simplestreams/items.ts';
import { openKeyring } from '../../src/simplestreams/keyring.ts';
import { resolveSource } from '../../src/simplestreams/source.ts';
import { decodeCacheEntry, encodeCacheEntry } from '../../src/state/cache-entry.ts';
import { decodeJournal, encodeLine } from '../../src/state/journal-lines.ts';
import { readMetadataFiles, writeMetadataFile } from '../../src/state/metadata-files.ts';
import { readRecords, writeRecord } from '../../src/state/records.ts';
import { openGpgHome } from '../support/gpg.ts';
import { createQcow2, qemuImg } from '../support/qemu.ts';
import { readerOf } from '../unit/image-format/image-bytes.ts';
import type { Material } from './mutation.ts';
import { readingTarget } from './reading-target.ts';

/** A reader of what others write. It may throw PoolkeeperErrors, and has to come to an end. */
export interface Target {
  readonly name: string;
  readonly material: Material;
  read(input: Buffer): unknown;
  close?(): Promise<void>;
}

const IDENTITY = { product: 'com.ubuntu.cloud:server:24.04:amd64', version: '20240821' };
const TAGS = {
  release: 'noble',
  arch: 'amd64',
  label: 'release',
  product_name: IDENTITY.product,
  version_name: '20240821',
};
const TESTDATA = fileURLToPath(new URL('../../../testdata/', import.meta.url));

/** Every target, with what it needs made ready. */
export async function openTargets(): Promise<readonly Target[]> {
  return [
    ...(await imageTargets()),
    ...documentTargets(),
    ...(await signatureTargets()),
    ...(await stateTargets()),
    ...(await referenceTargets()),
    readingTarget(),
    configurationTarget(),
  ];
}

function configurationTarget(): Target {
  const seeds = [
    'connect: qemu:///system\npool: images\nretention: {keep-versions: 2, grace: 1h30m, max-size: 10G}\npeers: []\n',
    'sources:\n  a:\n    url: https://h/\n    filters: &f [arch=amd64, "x~^(a|b)$"]\n  b: {url: /srv, filters: *f, items: [c]}\n',
  ];
  const tokens = ['\t', '? ', '- ', ': ', '&a ', '*a', '<<: ', '!!map', '|\n', '"', '{', '[', '---\n', '%YAML 1.1\n'];
  return {
    name: 'configuration',
    material: { seeds, tokens },
    read: (input) => {
      const { tree, mistakes } = parseTree(input.toString());
      const { mistakes: more } = readConfiguration(tree, '/c.yaml', checksFor('/c.yaml'));
      const { length } = input.toString().split('\n');
      for (const { line } of [...mistakes, ...more]) if (line < 1 || line > length) throw new Error(`no line ${line}`);
    },
  };
}

async function imageTargets(): Promise<readonly Target[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pk-fuzz-'));
  const heads: Buffer[] = [];
  const backing = 'json:{"driver":"file","filename":"/pool/base"}';
  await createQcow2(join(dir, '0'), { sizeBytes: 2 ** 20 });
  await createQcow2(join(dir, '1'), { sizeBytes: 2 ** 20, backing, backingFormat: 'qcow2' });
  await createQcow2(join(dir, '2'), { sizeBytes: 2 ** 20, options: `data_file=${dir}/data,compression_type=zstd` });
  for (const [index, format] of ['vmdk', 'vdi', 'vpc', 'qed', 'qcow'].entries())
    await qemuImg('create', '-q', '-f', format, join(dir, String(index + 3)), '1M');
  for (let index = 0; index < 8; index += 1) heads.push((await readFile(join(dir, String(index)))).subarray(0, 2048));
  await rm(dir, { recursive: true });
  const tokens = ['QFI\u00FB', 'json:', 'KDMV', 'createType=', 'RW 1 FLAT "x"', 'LibvirtQemudSave', '<domain/>'];
  return [
    { name: 'qcow2 header', material: { seeds: heads.slice(0, 3) }, read: (input) => parseQcow2Header(input) },
    {
      name: 'download check',
      material: { seeds: heads.slice(0, 3) },
      read: (input) => checkDownloadedHeader(input, { name: 'x', sizeBytes: BigInt(input.length) }),
    },
    { name: 'image headers', material: { seeds: heads, tokens }, read: (input) => inspectImage(readerOf(input)) },
  ];
}

function documentTargets(): readonly Target[] {
  const item = { ftype: 'disk1.img', path: 'server/x.img', size: 7, sha256: 'ab'.repeat(32) };
  const versions = { '20240821': { items: { 'disk1.img': item }, label: 'release' } };
  const index = { a: { format: 'products:1.0', datatype: 'image-downloads', path: 'streams/v1/a.json' } };
  const products = { [IDENTITY.product]: { arch: 'amd64', release: 'noble', alias: 'x', versions } };
  const seeds = [
    { format: 'index:1.0', updated: 'Thu, 22 Aug 2024 03:28:23 +0000', index },
    { format: 'products:1.0', content_id: 'a', _aliases: { alias: { x: { y: 'z' } } }, products },
  ].map((document) => JSON.stringify(document));
  const tokens = ['"path":', '"items":', '"versions":', 'null', '1e999', '\\ud800', '%2e%2e/', '[[[[[[[['];
  return [
    {
      name: 'index and products',
      material: { seeds, tokens },
      read: (input) => {
        const document = parseDocument(input, 'http://h/x.json');
        if (document.kind === 'products') selectNewest(flattenItems(document, undefined), [], 'dir');
      },
    },
    {
      name: 'filters',
      material: {
        seeds: ['release~^(noble|jammy)$', 'arch!=amd64', '(?i)x!~\\Ax\\Z'],
        tokens: ['~', '(a+)+', '(?P<x>', '(?=', '{9,99}', '\\'],
      },
      read: (input) => {
        const text = input.toString();
        filterHint(text);
        for (const value of ['', text, 'a'.repeat(40)])
          parseFilter(text, timedExpression).matches({ release: value, arch: value });
      },
    },
    {
      name: 'addresses of sources',
      material: {
        seeds: ['https://u:p@h:8/a/streams/v1/x.sjson', 'file:///srv/a%20b/', '../mirror'],
        tokens: ['%2e', '?', '#', '@', '//'],
      },
      read: (input) => resolveSource(input.toString(), undefined, '/srv'),
    },
  ];
}

async function signatureTargets(): Promise<readonly Target[]> {
  const gpg = await openGpgHome();
  const key = await gpg.createKey();
  const signed = await gpg.clearsign('{"format":\n- "index:1.0"}\n', { keys: [key] });
  const keyrings = [await gpg.exportKeys([key]), await gpg.exportKeys([key], { armor: true })];
  await gpg.close();
  const tokens = [
    '-----BEGIN PGP SIGNED MESSAGE-----\n',
    '-----BEGIN PGP SIGNATURE-----\n',
    'Hash: SHA1\n',
    '\n- ',
    '\r',
    ' '.repeat(17_000),
  ];
  return [
    {
      name: 'clear-signed envelope',
      material: { seeds: [signed], tokens },
      read: (input) => {
        assertPlainLines(input, 'x.sjson');
        splitClearSigned(input, 'x.sjson');
        unwrapClearSigned(input, 'x.sjson');
      },
    },
    { name: 'keyrings', material: { seeds: keyrings, tokens }, read: (input) => openKeyring(input) },
  ];
}

async function stateTargets(): Promise<readonly Target[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pk-fuzz-'));
  const name = encodeMetadataName(IDENTITY);
  const times = { createdAt: 1, statusSince: 2, lastNeededAt: 3 };
  const digest = { algorithm: 'sha256', hex: 'ab'.repeat(32) } as const;
  const provenance = { source: 'http://h/', itemPath: 'x', sizeBytes: 7n, digest, signer: 'AB', broughtBy: 'x' };
  await writeRecord(dir, {
    volumeName: name,
    identity: IDENTITY,
    status: 'active',
    reason: undefined,
    provenance,
    tags: TAGS,
    times,
  });
  await writeMetadataFile(dir, IDENTITY, TAGS);
  const record = await readFile(join(dir, `${name}.json`));
  const metadata = await readFile(join(dir, name));
  await rm(join(dir, name));
  const lines = [
    { type: 'format' },
    {
      type: 'begin',
      id: 1,
      intent: { kind: 'fetch', volumeName: name, identity: IDENTITY, url: 'http://h/x', sizeBytes: 7n, digest },
    },
    { type: 'note', id: 1, data: { bytes: '5' } },
    { type: 'begin', id: 2, intent: { kind: 'retire', identity: IDENTITY } },
    { type: 'done', id: 1 },
  ] as const;
  return [
    {
      name: 'records',
      material: { seeds: [record], tokens: ['"status":', 'null', '1e999'] },
      read: async (input) => {
        await writeFile(join(dir, `${name}.json`), input);
        await readRecords(dir);
      },
    },
    {
      name: 'metadata files',
      material: { seeds: [metadata], tokens: ['null', '{}'] },
      read: async (input) => {
        await writeFile(join(dir, name), input);
        await readMetadataFiles(dir);
      },
      close: () => rm(dir, { recursive: true }),
    },
    {
      name: 'journal',
      material: { seeds: [Buffer.concat(lines.map(encodeLine)), ...lines.map(encodeLine)] },
      read: (input) => decodeJournal(input, 'journal'),
    },
    {
      name: 'cache entries',
      material: { seeds: [encodeCacheEntry('key', { etag: 'x' }, Buffer.from('body'))] },
      read: (input) => decodeCacheEntry(input, 'key'),
    },
    {
      name: 'volume names',
      material: { seeds: [name, 'x-uvt-plain-a__1'] },
      read: (input) => decodeVolumeName(input.toString()),
    },
  ];
}

async function referenceTargets(): Promise<readonly Target[]> {
  const documents: Buffer[] = [];
  for (const folder of ['domain', 'volume']) {
    const names = await readdir(join(TESTDATA, folder));
    for (const name of names.filter((file) => file.endsWith('.xml')))
      documents.push(await readFile(join(TESTDATA, folder, name)));
  }
  const xml = [
    '<source file="/x"/>',
    '<!DOCTYPE a [<!ENTITY b "c">]>',
    '&b;',
    '<![CDATA[',
    '-->',
    'xmlns:qemu="',
    '<disk>',
  ];
  const backings = [
    '/pool/base',
    'json:{"driver":"qcow2","file":{"driver":"file","filename":"x"}}',
    'nbd:unix:/s:exportname=x',
    'fat:rw:/x',
    'ssh://u@h/x?y',
    'blkdebug::x',
  ];
  return [
    {
      name: 'references in XML',
      material: { seeds: documents, tokens: xml },
      read: (input) => readReferences(input.toString()),
    },
    {
      name: 'backing strings',
      material: { seeds: backings, tokens: ['json:', 'nbd:', 'file:', ':', '::', '{"file":'] },
      read: (input) => {
        decodeBackingString(input.toString(), '/pool', 'x');
        decodeBlockDevice(input.toString());
      },
    },
  ];
}
