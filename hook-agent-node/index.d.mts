import type { Api } from './index.js';

export * from './index.js';
declare const api: Api;
export default api;
