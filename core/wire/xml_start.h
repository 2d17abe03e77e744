// libxml2, ready and silent: what each reader of XML begins with.
//
// Without memory libxml2 has lines of its own for standard error, between those of the log. What
// went wrong it returns as well.
#ifndef CORE_WIRE_XML_START_H
#define CORE_WIRE_XML_START_H

// For this thread and for all that begin after it. As often as you like.
void xml_start(void);

#endif
