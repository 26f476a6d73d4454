'use strict';
// Finds the messages of a conversation that are not recorded yet.
//
// A model gets the whole conversation with each request. A message with an id is recorded once for this id. LangGraph gives
// ids to messages in its state; other messages may have none. Such a message is recorded once for its place in the
// conversation: the messages before it and its content. Before the last answer this place tells that the message was sent
// earlier. After it, the same place in another trace is another message: a user may ask the same twice.
//
// An instruction (`system`) has no place: the same one is recorded once.

const { Memory } = require('./memory.js');
const { digestOf, isMessage, isRemoval, roleOf } = require('./messages.js');

class Conversation {
  /** Message id -> the run that gave the answer, '' for other messages. */
  #ids = new Memory();
  #places = new Memory();
  #results = new Memory();

  /**
   * Returns the messages that are not recorded yet, which they are from now on, each with the id that its key is made of.
   * At the end of a trace, its last message may be an answer; a model is asked with earlier answers only.
   */
  news(root, messages, isEnd) {
    const last = messages.findLastIndex((message) => roleOf(message) === 'assistant');
    const found = [];
    let place = '';
    messages.forEach((message, at) => {
      const role = roleOf(message);
      let name;
      if (role === 'system') {
        name = this.#instruction(message);
      } else {
        place = digestOf(message, place);
        name = this.#name(message, root, place, at < last || (at === last && !isEnd));
        if (role === 'tool' && (at < last || this.#isResultKnown(message))) name = undefined;
      }
      if (name !== undefined && !isRemoval(message)) found.push({ message, name });
    });
    return found;
  }

  /** Remembers an answer. Returns the run that gave an answer with the same id before. */
  answered(run, root, asked, message) {
    this.#rememberPlace(root, digestOf(message, asked));
    const before = message.id ? this.#ids.add(message.id, run) : undefined;
    return before === run ? undefined : before;
  }

  /** Remembers that the result of a call is recorded. */
  hasResult(callId) {
    this.#results.add(callId);
  }

  isKnown(messageId) {
    return this.#ids.get(messageId) !== undefined;
  }

  #instruction(message) {
    const name = message.id ?? digestOf(message);
    return this.#ids.add(name) === undefined ? name : undefined;
  }

  #name(message, root, place, isHistory) {
    const isPlaceKnown = this.#places.get(place) !== undefined;
    const isHereKnown = this.#rememberPlace(root, place);
    if (message.id) {
      const isIdKnown = this.#ids.add(message.id) !== undefined;
      return isIdKnown || isHereKnown ? undefined : message.id;
    }
    if (isHereKnown || (isHistory && isPlaceKnown)) return undefined;
    return isHistory ? place : `${root}-${place}`;
  }

  #rememberPlace(root, place) {
    this.#places.add(place);
    return this.#places.add(`${root} ${place}`) !== undefined;
  }

  #isResultKnown(message) {
    return this.#results.add(String(message.tool_call_id ?? message.id)) !== undefined;
  }
}

/** Returns the place after these messages. */
function placeOf(messages) {
  let place = '';
  for (const message of messages) if (roleOf(message) !== 'system') place = digestOf(message, place);
  return place;
}

/** Returns the lists of messages in the final state of a graph, or in the output of a chain. */
function messagesIn(value) {
  if (isMessage(value)) return [[value]];
  if (Array.isArray(value)) return value.length > 0 && value.every(isMessage) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((one) => (isMessage(one) || Array.isArray(one) ? messagesIn(one) : []));
}

module.exports = { Conversation, messagesIn, placeOf };
