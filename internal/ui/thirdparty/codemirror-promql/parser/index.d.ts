export { buildLabelMatchers, labelMatchersToString } from './matcher';
export { Parser } from './parser';
export { walkBackward, containsAtLeastOneChild, containsChild } from './path-finder';
