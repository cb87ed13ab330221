// Serves a mirror on loopback, and holds every image half-way: node holding-server.mjs MIRROR NOTES
// NOTES/port has the port, NOTES/asked is made when half of an image was sent, and the rest follows once NOTES/hold is gone.
import { createReadStream, existsSync, statSync, watch, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join, normalize } from 'node:path';

const [mirror, notes] = process.argv.slice(2);
const held = new Set();
watch(notes, () => {
  if (existsSync(join(notes, 'hold'))) return;
  for (const goOn of held) goOn();
  held.clear();
});

const server = createServer((request, response) => {
  const path = join(mirror, normalize(new URL(request.url, 'http://localhost').pathname));
  if (!existsSync(path) || !statSync(path).isFile()) return void response.writeHead(404).end();
  const { size } = statSync(path);
  const isHeld = path.endsWith('.img') && existsSync(join(notes, 'hold'));
  const half = isHeld ? Math.floor(size / 2) : size;
  response.writeHead(200, { 'content-length': size });
  const first = createReadStream(path, { end: Math.max(0, half - 1) });
  first.pipe(response, { end: !isHeld });
  if (!isHeld) return;
  first.on('end', () => {
    held.add(() => createReadStream(path, { start: half }).pipe(response));
    writeFileSync(join(notes, 'asked'), '');
  });
});
server.listen(0, '127.0.0.1', () => writeFileSync(join(notes, 'port'), String(server.address().port)));
