"""Isthmus between real servers: Prosody or ejabberd on one side, Kamailio on the other."""

import logging

logging.getLogger("asyncio").setLevel(logging.ERROR)  # unittest's debug mode names each slow step
