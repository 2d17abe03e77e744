// PIDF documents as they stand in RFC 3863, RFC 4480 §4.1 and RFC 8048, and the one that Blink
// shows in its documentation ("Presence", AG Projects, 2012); for tests.
#ifndef TESTS_UNIT_PIDF_EXAMPLES_H
#define TESTS_UNIT_PIDF_EXAMPLES_H

// clang-format off
#define RFC3863_PREFIXED \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<impp:presence xmlns:impp=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "    entity=\"pres:someone@example.com\">\n" \
    "  <impp:tuple id=\"sg89ae\">\n" \
    "    <impp:status>\n" \
    "      <impp:basic>open</impp:basic>\n" \
    "    </impp:status>\n" \
    "    <impp:contact priority=\"0.8\">tel:+09012345678</impp:contact>\n" \
    "  </impp:tuple>\n" \
    "</impp:presence>\n"

#define RFC3863_DEFAULT \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "    entity=\"pres:someone@example.com\">\n" \
    "  <tuple id=\"sg89ae\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "    </status>\n" \
    "    <contact priority=\"0.8\">tel:+09012345678</contact>\n" \
    "  </tuple>\n" \
    "</presence>\n"

#define RFC3863_LOCATION \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "    xmlns:local=\"urn:example-com:pidf-status-type\"\n" \
    "    entity=\"pres:someone@example.com\">\n" \
    "  <tuple id=\"ub93s3\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "      <local:location>home</local:location>\n" \
    "    </status>\n" \
    "    <contact>im:someone@example.com</contact>\n" \
    "  </tuple>\n" \
    "</presence>\n"

#define RFC3863_4_3_1 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "     xmlns:im=\"urn:ietf:params:xml:ns:pidf:im\"\n" \
    "     xmlns:myex=\"http://id.example.com/presence/\"\n" \
    "     entity=\"pres:someone@example.com\">\n" \
    "  <tuple id=\"bs35r9\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "      <im:im>busy</im:im>\n" \
    "      <myex:location>home</myex:location>\n" \
    "    </status>\n" \
    "    <contact priority=\"0.8\">im:someone@mobilecarrier.net</contact>\n" \
    "    <note xml:lang=\"en\">Don't Disturb Please!</note>\n" \
    "    <note xml:lang=\"fr\">Ne derangez pas, s'il vous plait</note>\n" \
    "    <timestamp>2001-10-27T16:49:29Z</timestamp>\n" \
    "  </tuple>\n" \
    "  <tuple id=\"eg92n8\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "    </status>\n" \
    "    <contact priority=\"1.0\">mailto:someone@example.com</contact>\n" \
    "  </tuple>\n" \
    "  <note>I'll be in Tokyo next week</note>\n" \
    "</presence>\n"

#define RFC3863_4_3_2 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<impp:presence xmlns:impp=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "     xmlns:myex=\"http://id.example.com/presence/\"\n" \
    "     entity=\"pres:someone@example.com\">\n" \
    "  <impp:tuple id=\"ck38g9\">\n" \
    "    <impp:status>\n" \
    "      <impp:basic>open</impp:basic>\n" \
    "    </impp:status>\n" \
    "    <myex:mytupletag>Extended value in tuple</myex:mytupletag>\n" \
    "    <impp:contact priority=\"0.65\">tel:+09012345678</impp:contact>\n" \
    "  </impp:tuple>\n" \
    "  <impp:tuple id=\"md66je\">\n" \
    "    <impp:status>\n" \
    "      <impp:basic>open</impp:basic>\n" \
    "    </impp:status>\n" \
    "    <impp:contact priority=\"1.0\">\n" \
    "       im:someone@mobilecarrier.net</impp:contact>\n" \
    "  </impp:tuple>\n" \
    "  <myex:mytag>My extended presentity information</myex:mytag>\n" \
    "</impp:presence>\n"

#define RFC3863_4_3_3 \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "<impp:presence xmlns:impp=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "     xmlns:myex=\"http://id.mycompany.com/presence/\"\n" \
    "     entity=\"pres:someone@example.com\">\n" \
    "  <impp:tuple id=\"tj25ds\">\n" \
    "    <impp:status>\n" \
    "      <impp:basic>open</impp:basic>\n" \
    "    </impp:status>\n" \
    "    <myex:complexExtension>\n" \
    "      <myex:ex1 impp:mustUnderstand=\"1\">val1</myex:ex1>\n" \
    "      <myex:ex2>val2</myex:ex2>\n" \
    "    </myex:complexExtension>\n" \
    "    <impp:contact priority=\"0.725\">tel:+09012345678</impp:contact>\n" \
    "  </impp:tuple>\n" \
    "  <myex:mytag>My extended presentity information</myex:mytag>\n" \
    "</impp:presence>\n"

#define RFC8048_4 \
    "<?xml version='1.0' encoding='UTF-8'?>\n" \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf'\n" \
    "          entity='pres:romeo@example.net'>\n" \
    "  <tuple id='ID-dr4hcr0st3lup4c'>\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "      <show xmlns='jabber:client'>away</show>\n" \
    "    </status>\n" \
    "  </tuple>\n" \
    "</presence>\n"

#define RFC8048_19 \
    "<?xml version='1.0' encoding='UTF-8'?>\n" \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf'\n" \
    "          entity='pres:juliet@example.com'>\n" \
    "  <tuple id='ID-yn0cl4bnw0yr3vym'>\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "      <show xmlns='jabber:client'>away</show>\n" \
    "    </status>\n" \
    "  </tuple>\n" \
    "</presence>\n"

#define RFC8048_20 \
    "<?xml version='1.0' encoding='UTF-8'?>\n" \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf'\n" \
    "          entity='pres:romeo@example.net'>\n" \
    "  <tuple id='ID-dr4hcr0st3lup4c'>\n" \
    "    <status>\n" \
    "      <basic>closed</basic>\n" \
    "    </status>\n" \
    "  </tuple>\n" \
    "</presence>\n"

#define RFC4480_EXAMPLE \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" \
    "   <presence xmlns=\"urn:ietf:params:xml:ns:pidf\"\n" \
    "     xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"\n" \
    "     xmlns:lt=\"urn:ietf:params:xml:ns:location-type\"\n" \
    "     xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"\n" \
    "     entity=\"pres:someone@example.com\">\n" \
    "  <tuple id=\"bs35r9\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "    </status>\n" \
    "    <dm:deviceID>urn:device:0003ba4811e3</dm:deviceID>\n" \
    "    <rpid:relationship><rpid:self/></rpid:relationship>\n" \
    "    <rpid:service-class><rpid:electronic/></rpid:service-class>\n" \
    "    <contact priority=\"0.8\">im:someone@mobile.example.net</contact>\n" \
    "    <note xml:lang=\"en\">Don't Disturb Please!</note>\n" \
    "    <note xml:lang=\"fr\">Ne derangez pas, s'il vous plait</note>\n" \
    "    <timestamp>2005-10-27T16:49:29Z</timestamp>\n" \
    "  </tuple>\n" \
    "  <tuple id=\"ty4658\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "    </status>\n" \
    "    <rpid:relationship><rpid:assistant/></rpid:relationship>\n" \
    "    <contact priority=\"1.0\">mailto:secretary@example.com</contact>\n" \
    "  </tuple>\n" \
    "  <tuple id=\"eg92n8\">\n" \
    "    <status>\n" \
    "      <basic>open</basic>\n" \
    "    </status>\n" \
    "    <dm:deviceID>urn:x-mac:0003ba4811e3</dm:deviceID>\n" \
    "    <rpid:class>email</rpid:class>\n" \
    "    <rpid:service-class><rpid:electronic/></rpid:service-class>\n" \
    "    <rpid:status-icon>http://example.com/mail.png</rpid:status-icon>\n" \
    "    <contact priority=\"1.0\">mailto:someone@example.com</contact>\n" \
    "  </tuple>\n" \
    "  <note>I'll be in Tokyo next week</note>\n" \
    "  <dm:device id=\"pc147\">\n" \
    "    <rpid:user-input idle-threshold=\"600\"\n" \
    "      last-input=\"2004-10-21T13:20:00-05:00\">idle</rpid:user-input>\n" \
    "    <dm:deviceID>urn:device:0003ba4811e3</dm:deviceID>\n" \
    "    <dm:note>PC</dm:note>\n" \
    "  </dm:device>\n" \
    "  <dm:person id=\"p1\">\n" \
    "    <rpid:activities from=\"2005-05-30T12:00:00+05:00\"\n" \
    "       until=\"2005-05-30T17:00:00+05:00\">\n" \
    "       <rpid:note>Far away</rpid:note>\n" \
    "       <rpid:away/>\n" \
    "    </rpid:activities>\n" \
    "    <rpid:class>calendar</rpid:class>\n" \
    "    <rpid:mood>\n" \
    "      <rpid:angry/>\n" \
    "      <rpid:other>brooding</rpid:other>\n" \
    "    </rpid:mood>\n" \
    "    <rpid:place-is>\n" \
    "       <rpid:audio>\n" \
    "          <rpid:noisy/>\n" \
    "       </rpid:audio>\n" \
    "    </rpid:place-is>\n" \
    "    <rpid:place-type><lt:residence/></rpid:place-type>\n" \
    "    <rpid:privacy><rpid:unknown/></rpid:privacy>\n" \
    "    <rpid:sphere>bowling league</rpid:sphere>\n" \
    "    <rpid:status-icon>http://example.com/play.gif</rpid:status-icon>\n" \
    "    <rpid:time-offset>-240</rpid:time-offset>\n" \
    "    <dm:note>Scoring 120</dm:note>\n" \
    "    <dm:timestamp>2005-05-30T16:09:44+05:00</dm:timestamp>\n" \
    "  </dm:person>\n" \
    "</presence>\n"

#define BLINK \
    "<?xml version=\"1.0\"?>\n" \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:ag@test.sip2sip.info\">\n" \
    "<tuple xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:agp-pidf=\"urn:ag-projects:xml:ns:pidf\" xmlns:c=\"urn:ietf:params:xml:ns:pidf:cipid\" xmlns:caps=\"urn:ietf:params:xml:ns:pidf:caps\" xmlns:agp-caps=\"urn:ag-projects:xml:ns:pidf:caps\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" id=\"SID-f4649f87-1aa3-44ec-ab49-d0464528d706\">\n" \
    "<status>\n" \
    "<basic>open</basic>\n" \
    "<agp-pidf:extended>away</agp-pidf:extended>\n" \
    "</status>\n" \
    "<c:display-name>Adrian Georgescu</c:display-name>\n" \
    "<c:map>Netherlands/Haarlem</c:map>\n" \
    "<c:icon>https%3A//xcap.test.sipthor.net/xcap-root/org.openmobilealliance.pres-content/users/sip%3Aag%40test.sip2sip.info/oma_status-icon/index</c:icon>\n" \
    "<c:homepage>http%3A//georgescu.info</c:homepage>\n" \
    "<agp-pidf:device-info id=\"f4649f87-1aa3-44ec-ab49-d0464528d706\">\n" \
    "<agp-pidf:description>imac3-2</agp-pidf:description>\n" \
    "<agp-pidf:user-agent>Blink Pro 2.0.0 (MacOSX)</agp-pidf:user-agent>\n" \
    "<agp-pidf:time-offset>120</agp-pidf:time-offset>\n" \
    "</agp-pidf:device-info>\n" \
    "<caps:servcaps>\n" \
    "<caps:audio>true</caps:audio>\n" \
    "<caps:message>true</caps:message>\n" \
    "<caps:text>true</caps:text>\n" \
    "<agp-caps:file-transfer>true</agp-caps:file-transfer>\n" \
    "<agp-caps:screen-sharing>true</agp-caps:screen-sharing>\n" \
    "</caps:servcaps>\n" \
    "<rpid:user-input idle-threshold=\"600\">active</rpid:user-input>\n" \
    "<dm:deviceID>f4649f87-1aa3-44ec-ab49-d0464528d706</dm:deviceID>\n" \
    "<contact>sip%3Aag%40test.sip2sip.info</contact>\n" \
    "<note/>\n" \
    "<timestamp>2012-09-21T12:53:57.802353+02:00</timestamp>\n" \
    "</tuple>\n" \
    "<dm:person xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" id=\"PID-5c82e1b170c9aa1a670c4388052657f2\">\n" \
    "<rpid:time-offset>120</rpid:time-offset>\n" \
    "<dm:timestamp>2012-09-21T12:53:57.802353+02:00</dm:timestamp>\n" \
    "</dm:person>\n" \
    "<dm:device xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" id=\"DID-f4649f87-1aa3-44ec-ab49-d0464528d706\">\n" \
    "<dm:deviceID>f4649f87-1aa3-44ec-ab49-d0464528d706</dm:deviceID>\n" \
    "<dm:note>Blink Pro 2.0.0 (MacOSX) at imac3-2</dm:note>\n" \
    "<dm:timestamp>2012-09-21T12:53:57.802353+02:00</dm:timestamp>\n" \
    "</dm:device>\n" \
    "</presence>\n"

// clang-format on

#endif
