// How libxml2 is started: see xml_start.h.
#include "core/wire/xml_start.h"

#include <libxml/parser.h>
#include <libxml/xmlerror.h>

__attribute__((format(printf, 2, 3))) static void say_nothing(void *arg, const char *format, ...)
{
    (void)arg, (void)format;
}

void xml_start(void)
{
    xmlInitParser();
    xmlThrDefSetGenericErrorFunc(NULL, say_nothing);
    xmlSetGenericErrorFunc(NULL, say_nothing);
}
