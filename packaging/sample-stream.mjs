// Publishes a signed sample stream for test-deb.sh: node packaging/sample-stream.mjs DIR
// Into DIR/mirror, with its keyring as DIR/keyring.gpg.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openGpgHome } from '../dist/test/support/gpg.js';
import { createQcow2, qemuIo } from '../dist/test/support/qemu.js';
import { buildStream } from '../dist/test/support/stream-builder.js';

const [directory = '.'] = process.argv.slice(2);
const image = join(directory, 'noble.img');
await mkdir(join(directory, 'mirror'), { recursive: true });
await createQcow2(image, { sizeBytes: 2 ** 22 });
await qemuIo(image, `write -P 7 0 ${2 ** 22}`);
const gpg = await openGpgHome();
try {
  const signer = await gpg.createKey({ userId: 'Sample Cloud Image Builder' });
  await writeFile(join(directory, 'keyring.gpg'), await gpg.exportKeys([signer]));
  const products = [{ release: 'noble', arch: 'amd64', versions: [{ serial: '20240821', image }] }];
  await buildStream(join(directory, 'mirror'), { products, signer, updated: new Date() });
} finally {
  await gpg.close();
}
