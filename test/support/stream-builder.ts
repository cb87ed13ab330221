import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { GpgKey } from './gpg.ts';

/** What a mirror offers. Building the same directory again replaces its documents: that is how a publisher moves on. */
export interface StreamPlan {
  readonly products: readonly ProductPlan[];
  /** Signs every document. Without it neither `.sjson` nor `.gpg` files are written. */
  readonly signer?: GpgKey | undefined;
  readonly updated?: Date;
  readonly contentId?: string;
}

export interface ProductPlan {
  /** A codename of `RELEASES`, such as `noble`. */
  readonly release: string;
  /** As in `24.04`; known for the codenames of `RELEASES`. */
  readonly version?: string;
  readonly arch?: string;
  readonly versions: readonly VersionPlan[];
}

export interface VersionPlan {
  readonly serial: string;
  /** Content of `disk1.img`, or the path of a file to copy. */
  readonly image: Buffer | string;
}

/** Where things are in a mirror that was built. */
export interface BuiltStream {
  readonly directory: string;
  /** Relative paths of the products document and of every `disk1.img`, keyed by `<product> <serial>`. */
  readonly productsPath: string;
  readonly images: ReadonlyMap<string, string>;
}

interface Release {
  readonly version: string;
  readonly title: string;
  readonly eol: string;
  readonly isLts: boolean;
}

const RELEASES: Readonly<Record<string, Release>> = {
  focal: { version: '20.04', title: 'Focal Fossa', eol: '2025-05-29', isLts: true },
  jammy: { version: '22.04', title: 'Jammy Jellyfish', eol: '2027-06-01', isLts: true },
  mantic: { version: '23.10', title: 'Mantic Minotaur', eol: '2024-07-11', isLts: false },
  noble: { version: '24.04', title: 'Noble Numbat', eol: '2029-05-31', isLts: true },
};

const DEFAULT_CONTENT_ID = 'com.ubuntu.cloud:released:download';

/**
 * Writes a mirror as cloud-images.ubuntu.com has it: `streams/v1/index.json`, the products document, their `.gpg`, their
 * `.sjson` (the signed index names the signed products), and below `server/` the image of every version with its small
 * companions. Digests and sizes are true.
 */
export async function buildStream(directory: string, plan: StreamPlan): Promise<BuiltStream> {
  const contentId = plan.contentId ?? DEFAULT_CONTENT_ID;
  const updated = rfc2822(plan.updated ?? new Date(Date.UTC(2024, 7, 22, 3, 28, 23)));
  const images = new Map<string, string>();
  const products: Record<string, unknown> = {};
  for (const product of plan.products) {
    const name = productName(product);
    products[name] = await productTree(directory, product, images);
  }
  const document = {
    content_id: contentId,
    creator: 'climdb-download-streams-export',
    datatype: 'image-downloads',
    format: 'products:1.0',
    license: 'http://www.canonical.com/intellectual-property-policy',
    products,
    updated,
  };
  const productsPath = `streams/v1/${contentId}.json`;
  const index = (path: string): unknown => ({
    format: 'index:1.0',
    index: {
      [contentId]: {
        datatype: 'image-downloads',
        format: 'products:1.0',
        path,
        products: Object.keys(products),
        updated,
      },
    },
    updated,
  });
  await mkdir(join(directory, 'streams/v1'), { recursive: true });
  const signedPath = productsPath.replace(/json$/, 'sjson');
  await writeDocument(directory, productsPath, { plain: document, signed: document, signer: plan.signer });
  await writeDocument(directory, 'streams/v1/index.json', {
    plain: index(productsPath),
    signed: index(signedPath),
    signer: plan.signer,
  });
  return { directory, productsPath, images };
}

/** The key of a product in Ubuntu's streams, such as `com.ubuntu.cloud:server:24.04:amd64`. */
export function productName(product: Pick<ProductPlan, 'release' | 'version' | 'arch'>): string {
  return `com.ubuntu.cloud:server:${releaseOf(product).version}:${product.arch ?? 'amd64'}`;
}

/** A document as publishers write it. One line would do for readers, but gpg cannot clear-sign long lines. */
export function documentText(document: unknown): string {
  return JSON.stringify(document, undefined, 2);
}

async function productTree(
  directory: string,
  product: ProductPlan,
  images: Map<string, string>,
): Promise<Record<string, unknown>> {
  const { release, arch = 'amd64' } = product;
  const { version, title, eol, isLts } = releaseOf(product);
  const versions: Record<string, unknown> = {};
  for (const { serial, image } of product.versions) {
    const folder = `server/releases/${release}/release-${serial}`;
    const stem = `${folder}/ubuntu-${version}-server-cloudimg-${arch}`;
    images.set(`${productName(product)} ${serial}`, `${stem}.img`);
    versions[serial] = {
      items: await writeItems(directory, stem, image),
      label: 'release',
      pubname: `ubuntu-${release}-${version}-${arch}-server-${serial}`,
    };
  }
  return {
    aliases: [version, release[0], release, ...(isLts ? ['lts'] : [])].join(','),
    arch,
    os: 'ubuntu',
    release,
    release_codename: title,
    release_title: isLts ? `${version} LTS` : version,
    support_eol: eol,
    supported: true,
    version,
    versions,
  };
}

async function writeItems(directory: string, stem: string, image: Buffer | string): Promise<Record<string, unknown>> {
  await mkdir(join(directory, dirname(stem)), { recursive: true });
  const imagePath = join(directory, `${stem}.img`);
  if (typeof image === 'string') await copyFile(image, imagePath);
  else await writeFile(imagePath, image);
  const content = typeof image === 'string' ? await readFile(image) : image;
  const companions = ['lxd.tar.xz', 'manifest', 'squashfs', 'tar.gz'].map(async (ftype): Promise<[string, unknown]> => {
    const companion = Buffer.from(`${ftype} of ${stem}\n`);
    const path = ftype === 'lxd.tar.xz' ? `${stem}-lxd.tar.xz` : `${stem}.${ftype}`;
    await writeFile(join(directory, path), companion);
    return [ftype, item(ftype, path, companion)];
  });
  const disk = item('disk1.img', `${stem}.img`, content);
  return { 'disk1.img': disk, ...Object.fromEntries(await Promise.all(companions)) };
}

function item(ftype: string, path: string, content: Buffer): Record<string, unknown> {
  return { ftype, md5: digest('md5', content), path, sha256: digest('sha256', content), size: content.length };
}

function digest(algorithm: string, content: Buffer): string {
  return createHash(algorithm).update(content).digest('hex');
}

function releaseOf({ release, version }: Pick<ProductPlan, 'release' | 'version'>): Release {
  const known = RELEASES[release];
  if (known !== undefined) return version === undefined ? known : { ...known, version };
  if (version === undefined) throw new Error(`say which version '${release}' is`);
  return { version, title: release, eol: '2030-01-01', isLts: false };
}

function rfc2822(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000');
}

/** What a document says, to readers of `.json` and of `.sjson`. Without a signer there is only the first. */
export interface DocumentForms {
  readonly plain: unknown;
  readonly signed: unknown;
  readonly signer: GpgKey | undefined;
}

/** Writes `X.json` and, with a signer, `X.json.gpg` and `X.sjson`. */
export async function writeDocument(
  directory: string,
  path: string,
  { plain, signed, signer }: DocumentForms,
): Promise<void> {
  const target = join(directory, path);
  const text = documentText(plain);
  await writeFile(target, text);
  if (signer === undefined) return;
  const keys = [signer];
  await writeFile(`${target}.gpg`, await signer.home.detachSign(text, { keys }));
  await writeFile(target.replace(/json$/, 'sjson'), await signer.home.clearsign(documentText(signed), { keys }));
}
