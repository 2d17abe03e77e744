// The world around one core, for programs of events: a clock, committed records, what each side was
// sent last, and the invariants that hold after each step.
#ifndef TESTS_FUZZ_CORE_WORLD_H
#define TESTS_FUZZ_CORE_WORLD_H

#include "core/wire/stanza_reader.h"
#include "core_config.h"

enum {
    WORLD_RECORDS = 64,
    WORLD_KEPT = 16, // messages that can be answered
    WORLD_BRANCHES = 256,
    WORLD_DIALOGS = 256,
    WORLD_ADDRESS = 256,
    WORLD_ID = 64,
};

struct world_record {
    uint64_t id;
    struct buffer bytes;
};

// A stanza of the core's.
struct world_stanza {
    bool is_iq;
    char from[WORLD_ADDRESS], to[WORLD_ADDRESS], id[WORLD_ID];
};

// The CSeq of a dialog's last request, by a hash of Call-ID and our tag, and whose life's it was.
struct world_dialog {
    uint64_t name;
    uint32_t cseq;
    unsigned life;
};

struct world {
    struct core *core;
    struct core_config cfg;
    uint64_t now_ms, first_id, last_id;
    unsigned lives;
    bool die; // before the next turn is committed
    struct effects fx;
    struct world_record record[WORLD_RECORDS]; // n == 0: none
    // Rings; `sip` holds requests and answers of the core's, parsed.
    struct sip_message *sip[WORLD_KEPT];
    struct world_stanza stanza[WORLD_KEPT];
    char *question[WORLD_KEPT];
    unsigned n_sip, n_stanzas, n_questions;
    uint64_t branch[WORLD_BRANCHES];
    unsigned n_branches;
    struct world_dialog dialog[WORLD_DIALOGS];
    uint32_t peer_cseq;
    // What may follow from the event of this step.
    bool may_cross;
    const struct event *event;
};

void world_open(struct world *w, const struct core_config *cfg);
void world_close(struct world *w);
// One event, its turn committed, its effects let out, all invariants checked.
void world_step(struct world *w, const struct event *ev);
void world_pass_ms(struct world *w, uint64_t ms);
// kill -9, and a new life from what was committed.
void world_crash(struct world *w);
// Bytes as they come by the wire, to the events that they make.
void world_stanza_in(struct world *w, struct text bytes);
void world_sip_in(struct world *w, struct text bytes, const struct hop *source);
// The k-th last of its kind; NULL: none.
const struct sip_message *world_last_sip(const struct world *w, unsigned k);
const struct world_stanza *world_last_stanza(const struct world *w, unsigned k);
const char *world_last_question(const struct world *w, unsigned k);

// core_count.c: all that the core counts is counted anew from what it holds.
void world_count(const struct core *c);

#endif
