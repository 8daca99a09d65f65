"""`wakebeam studio`: a page on this machine to record, label, watch and listen.

guard.py keeps everybody else out; each room is a module with its addresses; server.py joins them.
Server and sockets are aiohttp's, widgets the browser's own: nothing is built, nothing fetched.
"""
