'use strict';
// Loads the addon, which `npm run build` puts beside package.json.

function load() {
  try {
    return require('../hook-agent.node');
  } catch (cause) {
    const message = 'the addon of hook-agent is not built for this machine: run `node build/install.js` in its folder';
    throw new Error(message, { cause });
  }
}

module.exports = load();
