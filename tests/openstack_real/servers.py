#!/usr/bin/python3
"""Writes the configuration of Keystone, Neutron and Octavia into a directory, makes their databases there (SQLite) and runs one of them.

    servers.py DIRECTORY prepare KEYSTONE_PORT NEUTRON_PORT OCTAVIA_PORT
    servers.py DIRECTORY keystone|neutron|octavia

All of them listen on loopback only. There is no message queue and no agent: what is asked of them happens in their databases.
"""
import os
import sys
import warnings

PASSWORD = "rehearsal"


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


PASTE = """
[composite:neutron]
use = egg:Paste#urlmap
/v2.0: neutronapi_v2_0
[composite:neutronapi_v2_0]
use = call:neutron.auth:pipeline_factory
noauth = request_id extensions neutronapiapp_v2_0
keystone = request_id authtoken keystonecontext extensions neutronapiapp_v2_0
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:keystonecontext]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:neutronapiapp_v2_0]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
"""


def middleware(port):
    return f"""
[keystone_authtoken]
www_authenticate_uri = http://127.0.0.1:{port}/v3
auth_url = http://127.0.0.1:{port}/v3
auth_type = password
username = admin
password = {PASSWORD}
project_name = admin
user_domain_id = default
project_domain_id = default
service_token_roles_required = true
"""


def prepare(home, keystone, neutron, octavia):
    common = "[DEFAULT]\ndebug = false\nuse_stderr = true\ntransport_url = fake://\n"
    write(f"{home}/keystone.conf", common + f"""
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet
[fernet_receipts]
key_repository = {home}/fernet
[credential]
key_repository = {home}/credential
[token]
expiration = 3600
""")
    write(f"{home}/neutron.conf", common + f"""
bind_host = 127.0.0.1
bind_port = {neutron}
state_path = {home}
core_plugin = ml2
service_plugins = router,trunk
auth_strategy = keystone
api_workers = 0
rpc_workers = 0
rpc_state_report_workers = 0
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
api_paste_config = {home}/api-paste.ini
[oslo_concurrency]
lock_path = {home}/locks
[database]
connection = sqlite:///{home}/neutron.db?timeout=60
[ml2]
type_drivers = local,vxlan
tenant_network_types = vxlan
mechanism_drivers = openvswitch
extension_drivers = port_security
[ml2_type_vxlan]
vni_ranges = 1:10000
""" + middleware(keystone))
    write(f"{home}/api-paste.ini", PASTE)
    write(f"{home}/octavia.conf", common + f"""
[database]
connection = sqlite:///{home}/octavia.db
[api_settings]
bind_host = 127.0.0.1
bind_port = {octavia}
auth_strategy = keystone
enabled_provider_drivers = noop_driver: No-op
default_provider_driver = noop_driver
[controller_worker]
network_driver = network_noop_driver
""" + middleware(keystone))
    write(f"{home}/ports", f"{keystone} {neutron} {octavia}\n")
    keystone_database(home, keystone)
    neutron_database(home)
    octavia_database(home)


def keystone_database(home, port):
    def manage(*words):
        if os.spawnlp(os.P_WAIT, "keystone-manage", "keystone-manage", "--config-file", f"{home}/keystone.conf", *words) != 0:
            sys.exit(f"keystone-manage {words[0]} failed")

    os.makedirs(f"{home}/fernet", exist_ok=True)
    os.makedirs(f"{home}/credential", exist_ok=True)
    manage("db_sync")
    manage("fernet_setup")
    manage("credential_setup")
    url = f"http://127.0.0.1:{port}/v3"
    urls = [word for kind in ("public", "internal", "admin") for word in (f"--bootstrap-{kind}-url", url)]
    manage("bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne", *urls)


def neutron_database(home):
    """Its migrations are for other databases; its tests make the tables from the models, too."""
    import sqlalchemy
    from neutron.db.migration.models import head

    engine = sqlalchemy.create_engine(f"sqlite:///{home}/neutron.db")
    # Neutron reads while it writes, which SQLite's other journals refuse.
    with engine.connect() as connection:
        connection.exec_driver_sql("pragma journal_mode = wal")
    head.get_metadata().create_all(engine)


def octavia_database(home):
    import sqlalchemy
    from octavia.common import constants
    from octavia.db import base_models
    from octavia.db import models
    from sqlalchemy.orm import Session

    # Its models overlap, which SQLAlchemy remarks on at length.
    warnings.simplefilter("ignore")
    engine = sqlalchemy.create_engine(f"sqlite:///{home}/octavia.db")
    base_models.BASE.metadata.create_all(engine)
    with Session(engine) as session:
        for model, names in (
            (models.ProvisioningStatus, constants.SUPPORTED_PROVISIONING_STATUSES),
            (models.OperatingStatus, constants.SUPPORTED_OPERATING_STATUSES),
            (models.LBTopology, constants.SUPPORTED_LB_TOPOLOGIES),
            (models.Protocol, constants.SUPPORTED_PROTOCOLS),
            (models.Algorithm, constants.SUPPORTED_LB_ALGORITHMS),
            (models.ClientAuthenticationMode, constants.SUPPORTED_CLIENT_AUTH_MODES),
        ):
            session.add_all([model(name=name) for name in names])
        session.commit()


def keystone(home):
    from wsgiref.simple_server import make_server

    os.environ["OS_KEYSTONE_CONFIG_DIR"] = home
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = f"{home}/keystone.conf"
    sys.argv = ["keystone"]
    from keystone.server.wsgi import initialize_public_application

    port = int(open(f"{home}/ports", encoding="utf-8").read().split()[0])
    make_server("127.0.0.1", port, initialize_public_application()).serve_forever()


def neutron(home):
    sys.argv = ["neutron-server", "--config-file", f"{home}/neutron.conf"]
    from neutron.cmd.eventlet import server

    server.main()


def octavia(home):
    sys.argv = ["octavia-api", "--config-file", f"{home}/octavia.conf"]
    from octavia.cmd import api

    api.main()


if __name__ == "__main__":
    home, what = sys.argv[1:3]
    if what == "prepare":
        prepare(home, *sys.argv[3:6])
    else:
        {"keystone": keystone, "neutron": neutron, "octavia": octavia}[what](home)
