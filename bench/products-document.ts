import { createHash } from 'node:crypto';
import type { GeneratedImage } from './random-image.ts';

/** How many serials the three live series have; with them comes a fixed number of older series with one each. */
export interface Tier {
  readonly serials: readonly [jammy: number, noble: number, plucky: number];
  readonly olderProducts: number;
}

/**
 * The sizes of `facts/simplestreams.md`, section 6: S is only large enough to be one, M is Ubuntu's feed of 2024, `15MB` is
 * what uvtool was measured with, L is for scaling.
 */
export const TIERS = {
  S: { serials: [1, 1, 1], olderProducts: 0 },
  M: { serials: [147, 85, 13], olderProducts: 130 },
  '15MB': { serials: [391, 226, 35], olderProducts: 130 },
  L: { serials: [1000, 600, 100], olderProducts: 130 },
} as const satisfies Record<string, Tier>;

export const CONTENT_ID = 'com.ubuntu.cloud:released:download';
/** The newest version of this product is a real image, and the filters that select it and nothing else. */
export const REAL_PRODUCT = { release: 'noble', version: '24.04', arch: 'amd64' };
export const REAL_FILTERS = ['release=noble', 'arch=amd64'];

const ARCHITECTURES = ['amd64', 'arm64', 'armhf', 'ppc64el', 'riscv64', 's390x'];
const COMMON_ITEMS = ['disk1.img', 'lxd.tar.xz', 'manifest', 'root.manifest', 'root.tar.xz', 'squashfs'];
const MORE_ITEMS = ['squashfs.manifest', 'tar.gz'];
const AMD64_ITEMS = ['ova', 'vhd.manifest', 'vhd.tar.gz', 'vmdk'];
const COMBINED = ['combined_disk1-img_sha256', 'combined_rootxz_sha256', 'combined_sha256', 'combined_squashfs_sha256'];

interface Series {
  readonly release: string;
  readonly version: string;
  readonly serials: number;
}

type Json = Record<string, unknown>;

/** A products document of that size, the same for the same tier and image. */
export function productsDocument(tier: Tier, image: GeneratedImage): Json {
  const [jammy, noble, plucky] = tier.serials;
  const live: readonly Series[] = [
    { release: 'jammy', version: '22.04', serials: jammy },
    { release: 'noble', version: '24.04', serials: noble },
    { release: 'plucky', version: '25.04', serials: plucky },
  ];
  const products: Json = {};
  for (const series of live) {
    for (const arch of ARCHITECTURES) products[productName(series.version, arch)] = product(series, arch, image);
  }
  for (let i = 0; i < tier.olderProducts; i++) {
    const number = Math.floor(i / ARCHITECTURES.length);
    const version = `${4 + Math.floor(number / 2)}.${number % 2 === 0 ? '04' : '10'}`;
    const arch = ARCHITECTURES[i % ARCHITECTURES.length] ?? 'amd64';
    products[productName(version, arch)] = product({ release: `older${number}`, version, serials: 1 }, arch, image);
  }
  return {
    content_id: CONTENT_ID,
    creator: 'climdb-download-streams-export',
    datatype: 'image-downloads',
    format: 'products:1.0',
    license: 'http://www.canonical.com/intellectual-property-policy',
    products,
    updated: UPDATED,
  };
}

/** An index that leads to the products document and nothing else. */
export function indexDocument(productsPath: string): Json {
  const entry = { datatype: 'image-downloads', format: 'products:1.0', path: productsPath, updated: UPDATED };
  return { format: 'index:1.0', index: { [CONTENT_ID]: entry }, updated: UPDATED };
}

export function productName(version: string, arch: string): string {
  return `com.ubuntu.cloud:server:${version}:${arch}`;
}

const UPDATED = 'Thu, 22 Aug 2024 03:28:23 +0000';

function product({ release, version, serials }: Series, arch: string, image: GeneratedImage): Json {
  const versions: Json = {};
  for (let i = 0; i < serials; i++) {
    const serial = serialOf(i);
    const stem = `server/releases/${release}/release-${serial}/ubuntu-${version}-server-cloudimg-${arch}`;
    const isReal = i === serials - 1 && release === REAL_PRODUCT.release && arch === REAL_PRODUCT.arch;
    const pubname = `ubuntu-${release}-${version}-${arch}-server-${serial}`;
    versions[serial] = { items: items(stem, arch, isReal ? image : undefined), label: 'release', pubname };
  }
  return {
    aliases: `${version},${release[0]},${release}`,
    arch,
    os: 'ubuntu',
    release,
    release_codename: `${release} release`,
    release_title: version,
    support_eol: '2030-01-01',
    supported: true,
    version,
    versions,
  };
}

/** One every eleven days, as the publisher had it; the newest ones end in 2024. */
function serialOf(index: number): string {
  const date = new Date(Date.UTC(2000, 0, 1) + index * 11 * 86_400_000);
  const day = date.toISOString().slice(0, 10).replaceAll('-', '');
  return index % 15 === 14 ? `${day}.1` : day;
}

function items(stem: string, arch: string, image: GeneratedImage | undefined): Json {
  const names = [...COMMON_ITEMS, ...MORE_ITEMS, ...(arch === 'amd64' ? AMD64_ITEMS : [])].sort();
  return Object.fromEntries(names.map((ftype) => [ftype, item(stem, ftype, image)]));
}

function item(stem: string, ftype: string, image: GeneratedImage | undefined): Json {
  if (ftype === 'disk1.img' && image !== undefined) {
    const { path, sha256, sizeBytes } = image;
    return { ftype, md5: pseudoDigest(stem, 32), path, sha256, size: sizeBytes };
  }
  const path = ftype === 'disk1.img' ? `${stem}.img` : `${stem}-${ftype}`;
  const combined = ftype === 'lxd.tar.xz' ? COMBINED.map((key) => [key, pseudoDigest(path + key, 64)]) : [];
  const digests = { md5: pseudoDigest(path, 32), sha256: pseudoDigest(path, 64) };
  return { ...Object.fromEntries(combined), ftype, md5: digests.md5, path, sha256: digests.sha256, size: 600_000_000 };
}

function pseudoDigest(seed: string, digits: number): string {
  return createHash('sha256').update(seed).digest('hex').slice(0, digits);
}
