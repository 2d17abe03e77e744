// A stanza that is being read: what the parser's callbacks and who feeds the parser share. Used by
// stanza_reader.c and stanza_sax.c only.
//
// A reader belongs to one thread; it owns its parser and its block.
#ifndef CORE_WIRE_STANZA_READER_INNER_H
#define CORE_WIRE_STANZA_READER_INNER_H

#include "core/wire/stanza_reader.h"
#include "core/wire/stanza_rich.h"
#include "core/wire/stanza_skip.h"

struct _xmlParserCtxt;
struct _xmlSAXHandler;

enum {
    STREAM_CONDITION_MAX = 64, // bytes kept of a stream error's condition
};

enum inside { INSIDE_OTHER, INSIDE_STANZA, INSIDE_STREAM_ERROR };
enum field { FIELD_NONE, FIELD_SHOW, FIELD_STATUS, FIELD_PRIORITY, FIELD_ERROR, FIELD_RICH };

struct stanza_reader {
    struct stanza_reader_limits limits;
    stanza_reader_cb cb;
    void *arg;
    struct _xmlParserCtxt *parser;
    int error;          // 0, or why the reader is spent
    uint64_t fed;       // bytes that the present parser was given, its made-up stream header too
    uint64_t piece;     // of those, the first of the piece that it is reading
    uint64_t begin;     // of those, the first that belongs to the present stanza
    uint64_t renew_at;  // a stanza ended there and the parser was stopped to be renewed; or 0
    unsigned depth;     // open elements; the stream is the first, a stanza the second
    bool too_big;       // the present stanza has passed a limit
    bool skips;         // and its end is looked for by `skip`,
    uint64_t skip_from; // from this one of the bytes on; the parser was stopped
    struct stanza_skip skip;
    enum inside inside;            // what kind of element is open below the stream
    enum field field;              // of which child text is being collected
    unsigned field_depth;          // of the element that the text stands in
    enum presence_text field_text; // FIELD_RICH
    enum stanza_rich rich;         // the child of a presence that is open, or what an event tells
    unsigned rich_depth;           // of that element
    unsigned event_depth;          // in an event: see begin_in_event(); else 0
    uint32_t field_from;           // where in the block its text begins
    struct buffer block;           // the stanza being built
    struct {
        char name[STREAM_CONDITION_MAX];
        size_t n;
    } stream_error;
};

// stanza_sax.c: the callbacks. They stop the parser with r->error set, or to be renewed, or at the
// tag from which on r->skip looks for the stanza's end.
extern struct _xmlSAXHandler stanza_sax_handler;
// The stanza, or what else was open below the stream, has ended before byte `here`.
void stanza_sax_end_top(struct stanza_reader *r, uint64_t here);

#endif
