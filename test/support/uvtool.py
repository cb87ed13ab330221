"""What uvtool does with the files that poolkeeper writes, after section 8 of the simplestreams facts.

uvtool.py query METADATA_DIR POOL_TYPE VOLUME_LIST [FILTER...]   prints what uvt-simplestreams-libvirt query prints
uvtool.py flatten PRODUCTS_FILE PRODUCT VERSION ITEM             prints the metadata file that uvtool would write
"""

import base64
import json
import os
import re
import sys


def volume_name(pool_type, product, version):
    if pool_type == "dir":
        text = "%s %s" % (product, version)
        return "x-uvt-b64-" + base64.urlsafe_b64encode(text.encode()).decode()
    return "x-uvt-plain-%s__%s" % (product, version)


def decode_metadata_name(name):
    if not name.startswith("x-uvt-b64-"):
        raise ValueError("not a metadata file: " + name)
    product, version = base64.urlsafe_b64decode(name[len("x-uvt-b64-"):].encode()).decode().split(None, 1)
    return product, version


def parse_filter(text):
    key, operator, value = re.match(r"([\w|-]+) *(!=|!~|=|~) *(.*)", text).groups()
    found = re.compile(value).search if "~" in operator else value.__eq__
    return key, lambda tag: bool(found(tag)) != operator.startswith("!")


def read_images(metadata_dir, pool_type, volumes):
    for name in sorted(os.listdir(metadata_dir)):
        path = os.path.join(metadata_dir, name)
        if not os.path.isfile(path):
            continue
        product, version = decode_metadata_name(name)
        if volume_name(pool_type, product, version) not in volumes:
            continue
        with open(path) as file:
            tags = json.load(file)
        assert tags["product_name"] == product and tags["version_name"] == version
        assert all(isinstance(value, str) for value in tags.values())
        yield version, dict(tags, item_name="disk1.img")


def query(metadata_dir, pool_type, volume_list, *texts):
    filters = [parse_filter(text) for text in texts]
    with open(volume_list) as file:
        volumes = set(file.read().splitlines())
    lines = []
    for version, tags in read_images(metadata_dir, pool_type, volumes):
        if all(test(tags.get(key, "")) for key, test in filters):
            lines.append("release=%s arch=%s label=%s (%s)" % (tags["release"], tags["arch"], tags["label"], version))
    for line in sorted(lines):
        print(line)


def scalars(node):
    return {key: str(value) for key, value in node.items() if isinstance(value, (str, int, float))}


def flatten(products_file, product, version, item):
    with open(products_file) as file:
        node = json.load(file)
    tags = scalars(node)
    for level, child, name in (("products", product, "product_name"), ("versions", version, "version_name"),
                               ("items", item, "item_name")):
        node = node[level][child]
        tags.update(scalars(node))
        tags[name] = child
    sys.stdout.write(json.dumps(tags, indent=4))


if __name__ == "__main__":
    {"query": query, "flatten": flatten}[sys.argv[1]](*sys.argv[2:])
