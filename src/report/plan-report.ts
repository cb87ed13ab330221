import { formatBytes } from '../core/byte-size.ts';
import type { DroppedStep, DropReason, GcPlan, PlanStep, Premises } from '../core/gc-plan.ts';
import { identityText } from '../core/identity.ts';
import type { Fields, Reporter } from './reporter.ts';
import { verdictText } from './retention-report.ts';
import { reasonFields, reasonText } from './sweep-report.ts';

const PREMISES: Readonly<Record<keyof Premises, string>> = {
  inventory: 'the images in the pool',
  useGraph: 'what needs them',
  sources: 'what their sources offer',
};

/** Says that a plan was written. */
export function showPlanWritten(path: string, { steps }: GcPlan, reporter: Reporter): void {
  const text = `wrote a plan of ${steps.length} step(s) to ${path}; 'poolkeeper apply ${path}' carries it out`;
  reporter.event('info', text, 'plan_written', { path, steps: steps.length });
}

/** Says which of the things that a plan rests on have changed. That alone is no reason not to carry it out. */
export function showChangedPremises(changed: readonly (keyof Premises)[], reporter: Reporter): void {
  if (changed.length === 0) return;
  const list = changed.map((name) => PREMISES[name]).join(', ');
  reporter.event('info', `changed since the plan was made: ${list}`, 'premises', { changed });
}

/** Shows the steps of a plan that are not carried out, and why. */
export function showDropped(dropped: readonly DroppedStep[], reporter: Reporter): void {
  for (const { step, reason } of dropped) {
    const text = `dropped: ${stepText(step)}: ${dropText(reason)}`;
    reporter.event('change', text, 'dropped', { ...stepFields(step), ...dropFields(reason) });
  }
}

function stepText({ action, identity, volume }: PlanStep): string {
  return `${action} image ${identityText(identity)} (${formatBytes(volume.allocationBytes)})`;
}

function stepFields({ action, identity, volume }: PlanStep): Fields {
  return { action, ...identity, volume: volume.name };
}

/** Why a step is dropped, in one line. */
export function dropText(reason: DropReason): string {
  switch (reason.kind) {
    case 'gone':
      return 'it is gone already';
    case 'changed':
      return 'its key, size or time is not what it was';
    case 'retention':
      return verdictText(reason.verdict);
    case 'sweep':
      return reasonText(reason.reason);
    case 'cause':
      return reason.cause;
  }
}

function dropFields(reason: DropReason): Fields {
  switch (reason.kind) {
    case 'retention':
      return { dropped_because: reason.kind, reason: reason.verdict.reason };
    case 'sweep':
      return { dropped_because: reason.kind, ...reasonFields(reason.reason) };
    case 'cause':
      return { dropped_because: reason.kind, cause: reason.cause };
    case 'gone':
    case 'changed':
      return { dropped_because: reason.kind };
  }
}
