// The same for `import`.

import api from './langchain.js';

export const { Recorder } = api;
export default api.default;
