// SIP messages taken apart: all fields in one pass, or one by its name.
#include <stdio.h>
#include <stdlib.h>

#include "bench/load/load_sip.h"

static void take_if(struct load_piece *out, const char *line, size_t n, const char *name)
{
    size_t name_n = strlen(name);
    if (!out->p && n >= name_n && memcmp(line, name, name_n) == 0)
        *out = (struct load_piece){line + name_n, n - name_n};
}

// By the first letter: most lines are of no interest, and none is looked at twice.
static void message_take_line(struct load_message *m, const char *line, size_t n)
{
    switch (*line) {
    case 'V': take_if(&m->via, line, n, "Via: "); break;
    case 'F': take_if(&m->from, line, n, "From: "); break;
    case 'T': take_if(&m->to, line, n, "To: "); break;
    case 'E': take_if(&m->expires, line, n, "Expires: "); break;
    case 'S': take_if(&m->state, line, n, "Subscription-State: "); break;
    case 'C':
        if (line[1] == 'S')
            take_if(&m->cseq, line, n, "CSeq: ");
        else if (line[1] == 'a')
            take_if(&m->call_id, line, n, "Call-ID: ");
        else
            take_if(&m->contact, line, n, "Contact: ");
        break;
    default: break;
    }
}

void load_message_read(struct load_message *m, const char *start, size_t n, uint16_t port)
{
    const char *line = start, *end = start + n, *feed;
    *m = (struct load_message){.start = start, .body = "", .port = port};
    for (; (feed = memchr(line, '\n', (size_t)(end - line))) && feed > line + 1; line = feed + 1)
        message_take_line(m, line, (size_t)(feed - 1 - line));
    if (feed)
        m->body = feed + 1;
    load_digits(m->cseq.p, &m->number);
}

struct load_piece load_message_tag(struct load_piece value)
{
    const char *at = value.p ? memmem(value.p, value.n, ";tag=", 5) : NULL;
    if (!at)
        return (struct load_piece){0};
    const char *tag = at + 5, *end = value.p + value.n;
    const char *more = memchr(tag, ';', (size_t)(end - tag));
    return (struct load_piece){tag, (size_t)((more ? more : end) - tag)};
}

bool load_sip_header(const char *m, const char *name, char *out, size_t size)
{
    char key[40];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *at = strstr(m, key);
    *out = 0;
    if (!at)
        return false;
    at += strlen(key);
    load_piece_copy((struct load_piece){at, strcspn(at, "\r")}, out, size);
    return true;
}

uint32_t load_sip_cseq(const char *m)
{
    char value[64];
    load_sip_header(m, "CSeq", value, sizeof value);
    return (uint32_t)strtoul(value, NULL, 10);
}

void load_sip_tag(const char *m, const char *name, char *out, size_t size)
{
    char value[512];
    load_sip_header(m, name, value, sizeof value);
    load_piece_copy(load_message_tag((struct load_piece){value, strlen(value)}), out, size);
}
