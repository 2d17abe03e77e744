// Finds the end of a stanza that is not to be read.
#include "core/wire/stanza_skip.h"

#include <errno.h>
#include <string.h>

static const char CDATA[] = "[CDATA["; // behind "<!"
enum { CDATA_BEGUN = sizeof CDATA - 1 };

static int skip_open(struct stanza_skip *s, char c)
{
    s->at = c == '/' ? SKIP_END : c == '!' ? SKIP_CDATA : SKIP_TAG;
    s->slash = false;
    s->n = 0;
    if (c == '?')
        return EPERM;
    return c == '<' || c == '>' || (c == '/' && !s->open) ? EBADMSG : EAGAIN;
}

static int skip_tag(struct stanza_skip *s, char c)
{
    if (c == '<')
        return EBADMSG;
    if (c == '"' || c == '\'') {
        s->at = SKIP_VALUE;
        s->quote = c;
    } else if (c == '>') {
        s->at = SKIP_TEXT;
        s->open += !s->slash;
        return s->open ? EAGAIN : 0;
    }
    s->slash = c == '/';
    return EAGAIN;
}

static int skip_value(struct stanza_skip *s, char c)
{
    if (c == s->quote)
        s->at = SKIP_TAG;
    return c == '<' ? EBADMSG : EAGAIN;
}

static int skip_end(struct stanza_skip *s, char c)
{
    if (c != '>')
        return c == '<' ? EBADMSG : EAGAIN;
    s->at = SKIP_TEXT;
    return --s->open ? EAGAIN : 0;
}

// A comment and a document type begin as it does.
static int skip_cdata(struct stanza_skip *s, char c)
{
    if (s->n < CDATA_BEGUN)
        return c == CDATA[s->n++] ? EAGAIN : EPERM;
    unsigned brackets = s->n - CDATA_BEGUN;
    if (c == '>' && brackets == 2)
        s->at = SKIP_TEXT;
    s->n = (uint8_t)(CDATA_BEGUN + (c != ']' ? 0 : brackets < 2 ? brackets + 1 : 2));
    return EAGAIN;
}

static int skip_char(struct stanza_skip *s, char c)
{
    switch ((enum stanza_skip_at)s->at) {
    case SKIP_TEXT:
        if (c == '<')
            s->at = SKIP_OPEN;
        return EAGAIN;
    case SKIP_OPEN: return skip_open(s, c);
    case SKIP_TAG: return skip_tag(s, c);
    case SKIP_VALUE: return skip_value(s, c);
    case SKIP_END: return skip_end(s, c);
    case SKIP_CDATA: return skip_cdata(s, c);
    }
    return EBADMSG;
}

int stanza_skip_feed(struct stanza_skip *s, const char *p, size_t n, size_t *used)
{
    int error = EAGAIN;
    size_t at = 0;
    while (at < n && error == EAGAIN)
        error = skip_char(s, p[at++]);
    *used = at;
    return error;
}
