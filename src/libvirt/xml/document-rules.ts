import type { DocumentKind } from '../../core/reference.ts';
import { DOMAIN_RULES } from './domain-rules.ts';
import { EXCLUSION_RULES } from './exclusion-rules.ts';
import type { Rule } from './rule.ts';
import { SOURCE_RULES } from './source-rules.ts';

const SNAPSHOT: readonly Rule[] = [
  { xpath: '//domainsnapshot/memory/@file', content: 'path', since: '1.0.1', note: 'memory image' },
  {
    xpath: "//disks/disk/@name[starts-with(., '/')]",
    content: 'path',
    since: '0.9.5',
    note: 'a disk may be named by its path instead of its target',
  },
];

const BACKUP_PLACES: readonly { element: string; note: string }[] = [
  { element: 'target', note: 'push mode: the backup' },
  { element: 'scratch', note: 'pull mode: what the guest overwrote meanwhile' },
];

const BACKUP: readonly Rule[] = BACKUP_PLACES.flatMap(({ element, note }) => [
  { xpath: `//disks/disk/${element}/@file`, content: 'path', since: '6.0.0', note },
  { xpath: `//disks/disk/${element}/@dev`, content: 'path', since: '6.0.0', note },
]);

const VOLUME: readonly Rule[] = [
  { xpath: '/volume/backingStore/path', content: 'backing', since: 'early', note: 'one level, possibly stale' },
  { xpath: '/volume/source/device/@path', content: 'path', since: 'early', note: 'physical volume of an LV' },
];

const POOL: readonly Rule[] = [
  {
    xpath: "/pool[not(starts-with(@type, 'iscsi'))]/source/device/@path",
    content: 'path',
    since: 'early',
    note: 'may be a volume of another pool; for iSCSI it is the name of a target',
  },
];

// Exclusions stand first: where a rule selects the same place, the rule holds.
const DOMAIN_DOCUMENT: readonly Rule[] = [...EXCLUSION_RULES, ...SOURCE_RULES, ...DOMAIN_RULES];

/**
 * The rule table of each kind of document (in-use.md, section 1.3). Domains in use are read by the same rules wherever
 * they stand: alone (live, inactive, managed save, save image) or inside a snapshot, a checkpoint or a status document.
 */
export const DOCUMENT_RULES: Readonly<Record<DocumentKind, readonly Rule[]>> = {
  domain: DOMAIN_DOCUMENT,
  domainsnapshot: [...DOMAIN_DOCUMENT, ...SNAPSHOT],
  domaincheckpoint: [...DOMAIN_DOCUMENT, ...SNAPSHOT],
  domainbackup: [...EXCLUSION_RULES, ...SOURCE_RULES, ...BACKUP],
  domstatus: [...DOMAIN_DOCUMENT, ...BACKUP],
  volume: [...EXCLUSION_RULES, ...VOLUME],
  pool: [...EXCLUSION_RULES, ...POOL],
};
