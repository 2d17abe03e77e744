// Writes answers to disco, version and last activity.
#include "core/wire/stanza_iq.h"

void stanza_iq_info_begin(struct buffer *b, const struct stanza_identity *identity)
{
    buffer_lit(b, "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='");
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
