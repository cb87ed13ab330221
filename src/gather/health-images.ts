import { type Finding, ok, orOk, problem, warning } from '../core/finding.ts';
import { identityText } from '../core/identity.ts';
import { isHindrance } from '../core/reference.ts';
import type { GraphNode } from '../core/use-graph.ts';
import { saysNoVolume } from '../core/sync-plan.ts';
import { FailureError, IntegrityError } from '../errors.ts';
import { openLocalImage } from '../image-format/local-file.ts';
import { readQcow2Header } from '../image-format/qcow2.ts';
import type { PoolPatient } from './health.ts';
import { type PoolView, volumeNameIn } from './pool-view.ts';
import { UNCLAIMED } from './sweep-candidates.ts';

/** What is enough of an image to find out how long its header is. */
const HEAD_BYTES = 512;

/** Whether the pool and what is written down about it say the same. */
export function checkImages({ sight: { view }, paths }: PoolPatient): readonly Finding[] {
  const { metadata, managed, records, damaged, unknown, unclaimed, undecodable } = view;
  const nameOf = volumeNameIn(view.pool);
  const spurious = [...metadata.values()].filter(({ identity }) => !managed.has(nameOf(identity)));
  const unwritten = [...managed].filter(
    ([name, { identity }]) =>
      !metadata.has(identityText(identity)) && saysNoVolume(records.get(name)) && !unclaimed.has(name),
  );
  const findings = [
    ...spurious.map(({ identity }) =>
      warning(`image ${identityText(identity)} has metadata and no volume`, `'poolkeeper sync' removes the metadata`),
    ),
    ...lost(view).map((name) =>
      warning(`the volume of image ${name} is gone, although its record says that it is there`, 'poolkeeper sync'),
    ),
    ...unwritten.map(([, { identity }]) =>
      warning(
        `image ${identityText(identity)} has a volume about which nothing is written down`,
        `'poolkeeper sync' checks and offers it if its source has it, 'poolkeeper why' shows what needs it`,
      ),
    ),
    ...unclaimedImages(view).map(({ message, hint }) => warning(message, hint)),
    ...damaged.map(({ error }) => problem(error.message, `'poolkeeper sync' sets it aside and keeps the image`)),
    ...[...unknown].map(([image, reason]) => problem(`image ${image} is left as it is: ${reason}`)),
    ...undecodable.map((name) =>
      problem(
        `file '${name}' in '${paths.metadata}' has no image's name, and stops uvtool`,
        `mv '${paths.metadata}/${name}' /root/`,
      ),
    ),
  ];
  return orOk(
    findings,
    `${managed.size} image(s) in storage pool '${view.pool.name}', and all that is written about them agrees`,
  );
}

/** The volumes that stay because nobody knows whose they are, each with what can be done about it. */
export function unclaimedImages({ unclaimed, managed }: Pick<PoolView, 'unclaimed' | 'managed'>) {
  return [...unclaimed].flatMap(([volumeName, why]) => {
    const identity = managed.get(volumeName)?.identity;
    if (identity === undefined) return [];
    const message = `image ${identityText(identity)} is kept: ${UNCLAIMED[why]}`;
    const hint = `'poolkeeper enable ${volumeName}' takes it in, 'poolkeeper delete ${volumeName}' deletes it`;
    return [{ volumeName, message, hint }];
  });
}

/** Images whose record says that they are whole, and whose volume is not there. */
function lost({ records, managed }: PoolView): readonly string[] {
  return [...records.values()]
    .filter(({ status, volumeName }) => (status === 'active' || status === 'deactivated') && !managed.has(volumeName))
    .map(({ identity }) => identityText(identity));
}

/**
 * Whether poolkeeper sees everything that may need an image. Domains of users and of other drivers that cannot be read hold
 * nothing back, but somebody has to know.
 */
export function checkView({ sight }: PoolPatient): readonly Finding[] {
  const unread = sight.gathered.unread.map(({ what, cause, remedy }) =>
    warning(`cannot see ${what}: ${cause}; what it may need is not known, and not kept for it`, remedy),
  );
  const unseen = sight.gathered.graph.blindSpots.filter((spot) => !isHindrance(spot));
  const findings = unseen.map(({ what, cause, remedy, concerns }) =>
    concerns === 'everything'
      ? problem(`cannot see ${what}: ${cause}; until then nothing is deleted`, remedy)
      : warning(`cannot see ${what}: ${cause}; what it may need is kept`, remedy),
  );
  return orOk([...findings, ...unread], 'everything that may need an image can be seen');
}

/** Whether every overlay says what its base is: QEMU guesses otherwise, which lets a guest choose what it reads. */
export async function checkOverlays({ sight }: PoolPatient): Promise<readonly Finding[]> {
  const overlays = sight.gathered.graph.nodes.filter(isQcow2WithParent);
  const findings = [];
  for (const { label, paths } of overlays) {
    const path = paths[0];
    const backingFile = path === undefined ? undefined : await backingWithoutFormat(path);
    if (backingFile === undefined) continue;
    const message = `${label} does not record the format of what it stands on`;
    const rebase = `qemu-img rebase -u -F FORMAT -b '${backingFile}' '${path}'`;
    findings.push(warning(message, `once no domain runs from it: ${rebase}`));
  }
  if (findings.length > 0) return findings;
  return [ok(`${overlays.length} overlay(s) record the format of what they stand on`)];
}

function isQcow2WithParent({ edges }: GraphNode): boolean {
  return edges.some(({ document }) => document.endsWith(', qcow2 header'));
}

/** The name of the base in the header of a qcow2 image that does not say its format. An image that cannot be read is no overlay. */
async function backingWithoutFormat(path: string): Promise<string | undefined> {
  try {
    await using image = await openLocalImage(path);
    const head = await image.read(0n, HEAD_BYTES);
    const { backingFile, backingFormat } = await readQcow2Header(head, image);
    return backingFormat === undefined ? backingFile?.text : undefined;
  } catch (error) {
    if (error instanceof FailureError || error instanceof IntegrityError) return undefined;
    throw error;
  }
}
