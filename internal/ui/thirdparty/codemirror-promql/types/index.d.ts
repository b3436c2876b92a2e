export { ValueType, PromQLFunction, getFunction } from './function';
export { Matcher } from './matcher';
export { VectorMatchCardinality, VectorMatching } from './vector';
