import type { Node } from '@xmldom/xmldom';

// The package's own declarations lack `parse` and pull the browser's globals into every file of the program.

export interface Expression {
  evaluateNodeSet(options: EvaluationOptions): { toUnsortedArray(): Node[] };
}

export interface EvaluationOptions {
  readonly node: Node;
  /** Lets a name without prefix match an element of any default namespace. */
  readonly allowAnyNamespaceForNoPrefix?: boolean;
}

export function parse(expression: string): Expression;
