// Cuts an XMPP stream into stanzas: feeds libxml2's push parser, whose callbacks are in
// stanza_sax.c, within bounds, and passes over what it should not see.
#include "core/wire/stanza_reader.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>

#include "core/wire/memory.h"
#include "core/wire/stanza_reader_inner.h"
#include "core/wire/xml_start.h"

enum {
    // Bytes given to the parser at once: what one huge chunk can make it buffer before the limits
    // are looked at.
    PIECE_MAX = 16 * 1024,
    // A stanza past the limits is passed over; one so far past them that the server can't have
    // looked at it ends the stream. Servers look at sizes, not at depth: 512 KiB, the most that
    // Prosody takes from another server, hold 74,000 levels of <a></a>.
    CUT_FACTOR = 16,
    CUT_DEPTH = 80000,
    // A stanza with a longer tag is passed over, too: 1,900 attributes at most are compared with
    // each other. The parser sees no tag before its end, so this is how long it may keep it.
    TAG_MAX = PIECE_MAX,
};

static const char STREAM_HEADER[] =
    "<stream:stream xmlns='jabber:component:accept'"
    " xmlns:stream='http://etherx.jabber.org/streams'>";

static int parser_begin(struct stanza_reader *r)
{
    if (r->parser)
        xmlFreeParserCtxt(r->parser);
    r->parser = xmlCreatePushParserCtxt(&stanza_sax_handler, r, NULL, 0, NULL);
    if (!r->parser)
        return ENOMEM;
    // NOENT: without it an ampersand in an attribute is handed out as "&#38;". Nothing else is
    // replaced by it, for a document type, which could define entities, is refused. HUGE: the
    // limits are ours; libxml2's own end the stream, that of 50,000 bytes for a name for example.
    xmlCtxtUseOptions(r->parser, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                     XML_PARSE_NOENT | XML_PARSE_HUGE);
    r->depth = 0;
    r->renew_at = 0;
    r->fed = r->begin = sizeof STREAM_HEADER - 1;
    xmlParseChunk(r->parser, STREAM_HEADER, sizeof STREAM_HEADER - 1, 0);
    return r->depth == 1 && r->parser->wellFormed && !r->parser->disableSAX ? 0 : ENOMEM;
}

int stanza_reader_create(struct stanza_reader **out, const struct stanza_reader_limits *limits,
                         stanza_reader_cb cb, void *arg)
{
    assert(limits->stanza_bytes < UINT32_MAX && limits->stanza_depth < UINT32_MAX);
    *out = NULL;
    xml_start();
    struct stanza_reader *r = memory_take_zeroed(1, sizeof *r);
    if (!r)
        return ENOMEM;
    assert(limits->stanza_depth < CUT_DEPTH);
    r->limits = *limits;
    r->cb = cb;
    r->arg = arg;
    buffer_init(&r->block, 0); // what is kept of a stanza is never more than its raw bytes
    if (parser_begin(r)) {
        stanza_reader_destroy(r);
        return ENOMEM;
    }
    *out = r;
    return 0;
}

void stanza_reader_destroy(struct stanza_reader *r)
{
    if (!r)
        return;
    if (r->parser)
        xmlFreeParserCtxt(r->parser);
    buffer_free(&r->block);
    free(r);
}

struct text stanza_reader_stream_error(const struct stanza_reader *r)
{
    return (struct text){r->stream_error.name, r->stream_error.n};
}

// What the parser's own error means; 0: it had none that matters. A prefix without a namespace is
// none: that element is unknown to us and passed over.
static int parser_error(const struct stanza_reader *r)
{
    if (r->parser->wellFormed && !r->parser->disableSAX)
        return 0;
    // Only the five predefined entities are allowed.
    bool entity = r->parser->errNo == XML_ERR_UNDECLARED_ENTITY;
    return memory_lent(entity ? EPERM : EBADMSG);
}

static int past_all_reason(const struct stanza_reader *r)
{
    bool is = r->fed - r->begin > r->limits.stanza_bytes * CUT_FACTOR ||
              (r->skips && r->skip.open > CUT_DEPTH);
    return is ? EMSGSIZE : 0;
}

// A tag whose end does not come. The parser waits for it with all that it was given.
static int skip_long_tag(struct stanza_reader *r)
{
    const char *left = (const char *)r->parser->input->cur;
    size_t n = (size_t)(r->parser->input->end - r->parser->input->cur), used;
    if (r->depth == 1)
        r->inside = INSIDE_OTHER; // the tag is the stanza's own: nothing of it is known
    r->skips = r->too_big = true;
    r->skip = (struct stanza_skip){.open = r->depth - 1};
    int error = stanza_skip_feed(&r->skip, left, n, &used);
    return error == EAGAIN ? 0 : error ? error : EBADMSG; // an end, where the parser saw none
}

static int feed_skipped(struct stanza_reader *r, const char *p, size_t n, size_t *used)
{
    int error = stanza_skip_feed(&r->skip, p, n, used);
    r->fed += *used;
    if (error)
        return error == EAGAIN ? past_all_reason(r) : error;
    r->skips = false;
    stanza_sax_end_top(r, r->fed);
    return r->error ? r->error : parser_begin(r);
}

// Feeds up to `n` bytes; *used tells how many were taken.
static int feed_piece(struct stanza_reader *r, const char *p, size_t n, size_t *used)
{
    *used = n;
    r->piece = r->fed;
    r->fed += n;
    memory_lend();
    xmlParseChunk(r->parser, p, (int)n, 0);
    if (r->error)
        return r->error;
    if (r->renew_at) {
        assert(r->renew_at >= r->piece && r->renew_at <= r->fed);
        *used = (size_t)(r->renew_at - r->piece);
        return parser_begin(r);
    }
    if (r->skips) {
        assert(r->skip_from >= r->piece && r->skip_from <= r->fed);
        r->fed = r->skip_from;
        *used = (size_t)(r->fed - r->piece);
        return 0;
    }
    int error = parser_error(r);
    if (r->fed - r->begin > r->limits.stanza_bytes && r->depth > 1)
        r->too_big = true;
    if (!error)
        error = past_all_reason(r);
    if (!error && r->parser->input->end - r->parser->input->cur > TAG_MAX)
        error = skip_long_tag(r);
    return error;
}

int stanza_reader_feed(struct stanza_reader *r, const char *p, size_t n)
{
    while (n && !r->error) {
        size_t used;
        size_t piece = n < PIECE_MAX ? n : PIECE_MAX;
        r->error = r->skips ? feed_skipped(r, p, piece, &used) : feed_piece(r, p, piece, &used);
        p += used;
        n -= used;
    }
    return r->error;
}
