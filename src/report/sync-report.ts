import { formatBytes } from '../core/byte-size.ts';
import { identityText } from '../core/identity.ts';
import { isLocalImage } from '../core/local-image.ts';
import type { SyncStep } from '../core/sync-plan.ts';
import type { Fields, Reporter } from './reporter.ts';

const USUAL_ITEM = 'disk1.img';

/** Shows a plan that will not be carried out. */
export function showPlan(steps: readonly SyncStep[], reporter: Reporter): void {
  for (const step of steps) reporter.event('change', `would ${stepText(step)}`, 'plan', stepFields(step));
}

/** Says that a long step begins. */
export function showStart(step: SyncStep, reporter: Reporter): void {
  if (step.action === 'fetch') reporter.event('info', stepText(step), 'step_start', stepFields(step));
}

/** How an image came. */
export interface Delivery {
  /** The address that answered, fit for messages. */
  readonly url: string;
  /** How much of it was there before. */
  readonly heldBytes: bigint;
  /** Whether it came from elsewhere than its source. */
  readonly isFromMirror: boolean;
}

/** Says that a step is done. */
export function showDone(step: SyncStep, delivery: Delivery | undefined, reporter: Reporter): void {
  const { url, heldBytes } = delivery ?? {};
  const from = delivery?.isFromMirror === true ? ` from ${delivery.url}` : '';
  const behind = heldBytes === undefined || heldBytes === 0n ? '' : `, continued at ${formatBytes(heldBytes)}`;
  const fields = delivery === undefined ? {} : { url, held_bytes: heldBytes };
  const weight = step.action === 'skip' ? 'detail' : 'change';
  reporter.event(weight, doneText(step) + from + behind, 'step_done', { ...stepFields(step), ...fields });
}

/** Says that a product comes from another source than before. */
export function showTakeover(product: string, from: string, to: string, reporter: Reporter): void {
  const text = `product ${product} comes from ${to} now; it came from ${from} before`;
  reporter.event('change', text, 'takeover', { product, from, to });
}

/** What a step is about to do. */
export function stepText(step: SyncStep): string {
  const image = imageOf(step);
  switch (step.action) {
    case 'fetch':
      return `fetch ${image} (${itemText(step)}${formatBytes(step.image.sizeBytes)}${heldText(step)})`;
    case 'offer':
      return `offer ${image}`;
    case 'adopt':
      return `check the volume of ${image} and offer it`;
    case 'enlist':
      return `enlist ${image}, which ${whoBrought(step)}`;
    case 'retire':
      return step.retained ? `withdraw ${image} from the offer and retain it` : `withdraw ${image} from the offer`;
    case 'forget':
      return `remove the metadata of ${image}, which has no volume`;
    case 'discard':
      return `give up ${image}, which never arrived and was replaced`;
    case 'skip':
      return `skip ${image}: ${step.reason}`;
  }
}

function doneText(step: SyncStep): string {
  const image = imageOf(step);
  switch (step.action) {
    case 'fetch':
      return `fetched ${image} (${itemText(step)}${formatBytes(step.image.sizeBytes)})`;
    case 'offer':
      return `offered ${image}`;
    case 'adopt':
      return `checked and offered ${image}`;
    case 'enlist':
      return `enlisted ${image}, which ${whoBrought(step)}`;
    case 'retire':
      return step.retained ? `withdrew ${image} from the offer; it is retained` : `withdrew ${image} from the offer`;
    case 'forget':
      return `removed the metadata of ${image}, which had no volume`;
    case 'discard':
      return `gave up ${image}, which never arrived and was replaced`;
    case 'skip':
      return `skipped ${image}: ${step.reason}`;
  }
}

function whoBrought({ identity }: Extract<SyncStep, { readonly action: 'enlist' }>): string {
  return isLocalImage(identity) ? 'had no record' : 'uvtool brought';
}

/** Names the item where it is not the usual one, as only a filter or a preference leads to another. */
function itemText({ image }: Extract<SyncStep, { readonly action: 'fetch' }>): string {
  const name = image.tags['item_name'] ?? USUAL_ITEM;
  return name === USUAL_ITEM ? '' : `${name}, `;
}

function heldText({ partial }: Extract<SyncStep, { readonly action: 'fetch' }>): string {
  return partial === undefined || partial.heldBytes === 0n ? '' : `, ${formatBytes(partial.heldBytes)} are here`;
}

function stepFields(step: SyncStep): Fields {
  const { product, version } = 'image' in step ? step.image.identity : step.identity;
  const size = 'image' in step ? { size_bytes: step.image.sizeBytes } : {};
  return { action: step.action, product, version, volume: step.volumeName, ...size };
}

function imageOf(step: SyncStep): string {
  return `image ${identityText('image' in step ? step.image.identity : step.identity)}`;
}
