/**
 * A URI without a host name, as in `qemu:///system` or `qemu+unix:///session?socket=…`, is about this host. Where the
 * command of `qemu+ext:///system?command=…` leads, nobody knows.
 */
export function isLocalUri(uri: string): boolean {
  return /^[a-z0-9-]+(?:\+(?!ext:)[a-z0-9]+)?:\/\/\//i.test(uri);
}
