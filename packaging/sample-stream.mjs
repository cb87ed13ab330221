// Publishes a signed sample stream: node packaging/sample-stream.mjs DIR
// Into DIR/mirror, and as it is after one more version into DIR/mirror-next; with the keyring of both as DIR/keyring.gpg.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openGpgHome } from '../dist/test/support/gpg.js';
import { createQcow2, qemuIo } from '../dist/test/support/qemu.js';
import { buildStream } from '../dist/test/support/stream-builder.js';

const [directory = '.'] = process.argv.slice(2);
const SERIALS = ['20240821', '20240901'];
const versions = [];
for (const [index, serial] of SERIALS.entries()) {
  const image = join(directory, `noble-${serial}.img`);
  await createQcow2(image, { sizeBytes: 2 ** 22 });
  await qemuIo(image, `write -P ${7 + index} 0 ${2 ** 22}`);
  versions.push({ serial, image });
}
const gpg = await openGpgHome();
try {
  const signer = await gpg.createKey({ userId: 'Sample Cloud Image Builder' });
  await writeFile(join(directory, 'keyring.gpg'), await gpg.exportKeys([signer]));
  for (const [index, name] of ['mirror', 'mirror-next'].entries()) {
    await mkdir(join(directory, name), { recursive: true });
    const products = [{ release: 'noble', arch: 'amd64', versions: versions.slice(0, index + 1) }];
    await buildStream(join(directory, name), { products, signer, updated: new Date(Date.now() + index * 1000) });
  }
} finally {
  await gpg.close();
}
