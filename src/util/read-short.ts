import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

/**
 * Reads a short text file of somebody else's. A pipe or a device keeps nobody waiting, and never gets to be the terminal of this
 * process. It does not wait, so that it can be called as another user (`asFileUser`).
 *
 * @param isLinkFollowed whether the last component may be a symbolic link.
 * @throws the error of the system, or one that says that it is no regular file, or longer than `maxBytes`.
 */
export function readShort(path: string, maxBytes: number, isLinkFollowed: boolean): string {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (isLinkFollowed ? 0 : O_NOFOLLOW));
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new Error('it is not a regular file');
    if (status.size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}
