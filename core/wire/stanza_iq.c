// Writes answers to disco, version, last activity, time and vCard.
#include "core/wire/stanza_iq.h"

#include "core/wire/moment.h"

void stanza_iq_info_begin(struct buffer *b, struct text node,
                          const struct stanza_identity *identity)
{
    buffer_lit(b, "<query xmlns='http://jabber.org/protocol/disco#info'");
    if (node.n) {
        buffer_lit(b, " node='");
        buffer_xml(b, node);
        buffer_char(b, '\'');
    }
    buffer_lit(b, "><identity category='");
    buffer_xml(b, identity->category);
    buffer_lit(b, "' type='");
    buffer_xml(b, identity->type);
    if (identity->name.n) {
        buffer_lit(b, "' name='");
        buffer_xml(b, identity->name);
    }
    buffer_lit(b, "'/>");
}

void stanza_iq_feature(struct buffer *b, struct text feature)
{
    buffer_lit(b, "<feature var='");
    buffer_xml(b, feature);
    buffer_lit(b, "'/>");
}

void stanza_iq_info_end(struct buffer *b)
{
    buffer_lit(b, "</query>");
}

void stanza_iq_no_items(struct buffer *b)
{
    buffer_lit(b, "<query xmlns='http://jabber.org/protocol/disco#items'/>");
}

void stanza_iq_version(struct buffer *b, struct text name, struct text version)
{
    buffer_lit(b, "<query xmlns='jabber:iq:version'><name>");
    buffer_xml(b, name);
    buffer_lit(b, "</name><version>");
    buffer_xml(b, version);
    buffer_lit(b, "</version></query>");
}

void stanza_iq_last(struct buffer *b, uint64_t seconds)
{
    buffer_lit(b, "<query xmlns='jabber:iq:last' seconds='");
    buffer_u64(b, seconds);
    buffer_lit(b, "'/>");
}

// Where the version begins: at a number behind a blank or a slash; the whole is name without one.
static size_t version_at(struct text agent)
{
    for (size_t i = 1; i + 1 < agent.n; i++)
        if ((agent.p[i] == ' ' || agent.p[i] == '/') && agent.p[i + 1] >= '0' &&
            agent.p[i + 1] <= '9')
            return i;
    return agent.n;
}

void stanza_iq_version_of(struct buffer *b, struct text user_agent)
{
    size_t at = version_at(user_agent), next = at < user_agent.n ? at + 1 : at;
    stanza_iq_version(b, text_trim((struct text){user_agent.p, at}),
                      text_trim((struct text){user_agent.p + next, user_agent.n - next}));
}

static void write_two_digits(struct buffer *b, unsigned v)
{
    buffer_char(b, (char)('0' + v / 10 % 10));
    buffer_char(b, (char)('0' + v % 10));
}

void stanza_iq_time(struct buffer *b, int16_t utc_offset_min, int64_t now_ms)
{
    unsigned minutes = (unsigned)(utc_offset_min < 0 ? -utc_offset_min : utc_offset_min);
    buffer_lit(b, "<time xmlns='urn:xmpp:time'><tzo>");
    buffer_char(b, utc_offset_min < 0 ? '-' : '+');
    write_two_digits(b, minutes / 60);
    buffer_char(b, ':');
    write_two_digits(b, minutes % 60);
    buffer_lit(b, "</tzo><utc>");
    moment_write(b, now_ms);
    buffer_lit(b, "</utc></time>");
}

static void write_element(struct buffer *b, struct text begin, struct text value, struct text end)
{
    if (!value.n)
        return;
    buffer_text(b, begin);
    buffer_xml(b, value);
    buffer_text(b, end);
}

static struct text web_address(struct text uri)
{
    struct text http = TEXT("http://"), https = TEXT("https://");
    bool web = (uri.n > http.n && text_eq_nocase((struct text){uri.p, http.n}, http)) ||
               (uri.n > https.n && text_eq_nocase((struct text){uri.p, https.n}, https));
    return web ? uri : (struct text){0};
}

// FN and N are required (XEP-0054 §5); which part of a name is which is not known.
void stanza_iq_vcard(struct buffer *b, struct text name, struct text page, struct text picture)
{
    buffer_lit(b, "<vCard xmlns='vcard-temp'>");
    write_element(b, TEXT("<FN>"), name, TEXT("</FN><N/>"));
    write_element(b, TEXT("<NICKNAME>"), name, TEXT("</NICKNAME>"));
    write_element(b, TEXT("<PHOTO><EXTVAL>"), web_address(picture), TEXT("</EXTVAL></PHOTO>"));
    write_element(b, TEXT("<URL>"), web_address(page), TEXT("</URL>"));
    buffer_lit(b, "</vCard>");
}
