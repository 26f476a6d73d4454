import type { Recorder } from './langchain.js';

export * from './langchain.js';
declare const api: { Recorder: typeof Recorder };
export default api;
