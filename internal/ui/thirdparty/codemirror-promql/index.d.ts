export { PrometheusClient } from './client';
export { CompleteConfiguration, CompleteStrategy, newCompleteStrategy } from './complete';
export { LintStrategy } from './lint';
export { PromQLExtension, LanguageType, promQLLanguage } from './promql';
