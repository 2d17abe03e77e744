"""Isthmus between real servers: Prosody or ejabberd on one side, Kamailio on the other."""
