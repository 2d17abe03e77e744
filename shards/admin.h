// What the admin API asks a shard, and what a shard answers: flat messages over the rings.
//
// A question is {kind u8, tag u64, …} and its answer {kind u8, tag u64, …}, little-endian; the tag
// is given back, so that an answer which comes after its asker gave up is not taken for the next
// one's. The API's side writes questions and reads answers; both borrow from the bytes handed in.
// admin_answer() runs on the shard's thread between two turns; it only reads the core.
#ifndef SHARDS_ADMIN_H
#define SHARDS_ADMIN_H

#include "core/core.h"

enum {
    ADMIN_QUESTION_MAX = 8192,
    ADMIN_ANSWER_MAX = 256 * 1024,
    ADMIN_SCAN_MAX = 20000,   // places of the core looked at for one question
    ADMIN_ITEMS_MAX = 1000,   // subscriptions in one answer
    ADMIN_ADDRESS_MAX = 9216, // bytes of one bare JID or SIP URI in an answer; more is cut off
    ADMIN_REMOTE_MAX = 2048,  // likewise of a dialog's remote target
    ADMIN_CALL_ID_MAX = 1024, // likewise of its Call-ID
    // The longest item: an answer with this much room left takes one more.
    ADMIN_ITEM_MAX = 30 + 2 * (2 + ADMIN_ADDRESS_MAX) +
                     CORE_DIALOG_VIEWS_MAX * (8 + ADMIN_REMOTE_MAX + ADMIN_CALL_ID_MAX),
};

enum admin_kind { ADMIN_PING = 1, ADMIN_LIST = 2 };

// Appends the answer to `out`. EBADMSG: not a question; ENOMEM.
int admin_answer(const struct core *core, const void *question, size_t n, uint64_t now_ms,
                 struct buffer *out);

// Questions.
void admin_write_ping(struct buffer *b, uint64_t tag);
// `limit` is held below ADMIN_ITEMS_MAX + 1; `cursor` is core_list()'s, 0: from the start.
void admin_write_list(struct buffer *b, uint64_t tag, const struct core_filter *filter,
                      uint64_t cursor, uint32_t limit);

// Answers. EBADMSG: not an answer to the question with this tag.
int admin_read_ping(const void *answer, size_t n, uint64_t tag);

// Walks through the answer to a list.
struct admin_list {
    uint64_t cursor; // place to go on from; 0: the end of this shard
    uint32_t n;      // items
    struct text rest;
};
int admin_read_list(struct admin_list *out, const void *answer, size_t n, uint64_t tag);
// The next item. Call it n times. EBADMSG: damaged.
int admin_read_item(struct admin_list *list, struct core_subscription_view *out);

#endif
